import { plan } from "./address-plan";
import { type Backends, kubeProxyFilter, kubeProxyNat } from "./kube-proxy";
import type { Lab, LabNode } from "./topology";

/** The one node on which FORWARD drops what no rule accepts, as docker leaves it. */
const forwardDropNode = "gateway-1";

/** One pod of every node behind each service. */
export function defaultBackends(lab: Lab): Backends {
  const pods = lab.pods.filter((pod) => pod.index === 1).map((pod) => pod.address);
  return { web: pods, shop: pods, dns: pods };
}

/** The whole rule set of a fresh node, for iptables-restore. Pure. */
export function nodeRules(lab: Lab, node: LabNode): string {
  const drops = node.name === forwardDropNode;
  return [
    "*mangle",
    ":KUBE-IPTABLES-HINT - [0:0]",
    ":KUBE-KUBELET-CANARY - [0:0]",
    ":KUBE-PROXY-CANARY - [0:0]",
    "COMMIT",
    "*nat",
    ...kubeProxyNat(defaultBackends(lab)),
    ...masquerade(lab, node),
    "COMMIT",
    "*filter",
    ...(drops ? [":FORWARD DROP [0:0]"] : []),
    ...kubeProxyFilter,
    ...(drops ? podForwarding(lab) : []),
    "COMMIT",
    "",
  ].join("\n");
}

/** The CNI's own source NAT for what leaves the cluster. */
function masquerade(lab: Lab, node: LabNode): string[] {
  const target = {
    none: undefined,
    masquerade: "MASQUERADE --random-fully",
    snat: `SNAT --to-source ${node.underlayIP}`,
  }[lab.options.masq];
  if (target === undefined) return [];
  const inside = [plan.podCIDR, plan.underlayCIDR, plan.serviceCIDR];
  return [
    ":CNI-MASQ - [0:0]",
    `-A POSTROUTING -s ${plan.podCIDR} -m comment --comment "cni: traffic that leaves the cluster" -j CNI-MASQ`,
    ...inside.map((range) => `-A CNI-MASQ -d ${range} -j RETURN`),
    `-A CNI-MASQ -j ${target}`,
  ];
}

/** What a CNI appends where FORWARD drops: its pods' own links, named, and nothing by address. */
function podForwarding(lab: Lab): string[] {
  const device = lab.options.cni === "bridge" ? "cni0" : "pod+";
  return [
    ":CNI-FORWARD - [0:0]",
    '-A FORWARD -m comment --comment "cni: pod traffic" -j CNI-FORWARD',
    `-A CNI-FORWARD -i ${device} -j ACCEPT`,
    `-A CNI-FORWARD -o ${device} -j ACCEPT`,
  ];
}
