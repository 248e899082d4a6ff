import { macOf, overlayAddress, overlayDevice, overlayOverhead, podGateway } from "./address-plan";
import type { Lab, LabNode } from "./topology";

/** What the CNI has on a node: the node's own pods, and the way to those of every other node. Pure. */
export function cniLines(lab: Lab, node: LabNode): string[] {
  const others = lab.nodes.filter((other) => other !== node);
  const direct = others.map((other) => `route add ${other.podCIDR} via ${other.underlayIP}`);
  switch (lab.options.cni) {
    case "routes":
      return [...routedPods(lab, node), ...direct];
    case "overlay":
      return [...routedPods(lab, node), ...overlay(lab, node, others)];
    case "bridge":
      return [...bridgedPods(lab, node), ...direct];
  }
}

/** As Calico does it: a /32 behind each veth, and nothing where no pod is. */
function routedPods(lab: Lab, node: LabNode): string[] {
  const pods = lab.pods.filter((pod) => pod.node === node.name);
  return [
    `route add blackhole ${node.podCIDR}`,
    ...pods.flatMap((pod) => [
      `link set pod${pod.index} up`,
      `route add ${pod.address} dev pod${pod.index} scope link`,
    ]),
  ];
}

/** As Flannel does it: nothing is learned, every peer is written down. */
function overlay(lab: Lab, node: LabNode, others: readonly LabNode[]): string[] {
  const address = overlayAddress(node.number);
  return [
    `link add ${overlayDevice} address ${macOf("overlay", address)} mtu ${lab.options.mtu - overlayOverhead}` +
      ` type vxlan id 1 dstport 4789 local ${node.underlayIP} dev eth0 nolearning`,
    `link set ${overlayDevice} up`,
    `addr add ${address}/32 dev ${overlayDevice}`,
    ...others.flatMap((other) => {
      const peer = overlayAddress(other.number);
      return [
        `neigh replace ${peer} lladdr ${macOf("overlay", peer)} dev ${overlayDevice} nud permanent`,
        `route add ${other.podCIDR} via ${peer} dev ${overlayDevice} onlink`,
      ];
    }),
  ];
}

/** Forwarding entries of the overlay device, as lines for `bridge -batch`. */
export function overlayForwarding(lab: Lab, node: LabNode): string[] {
  if (lab.options.cni !== "overlay") return [];
  return lab.nodes
    .filter((other) => other !== node)
    .map((other) => {
      const mac = macOf("overlay", overlayAddress(other.number));
      return `fdb append ${mac} dev ${overlayDevice} dst ${other.underlayIP} self permanent`;
    });
}

/** As the bridge plugin does it: one bridge, which is the pods' gateway, and hairpin on its ports. */
function bridgedPods(lab: Lab, node: LabNode): string[] {
  const gateway = podGateway(node.number);
  const pods = lab.pods.filter((pod) => pod.node === node.name);
  return [
    `link add cni0 address ${macOf("pod", gateway)} mtu ${lab.options.mtu} type bridge`,
    "link set cni0 up",
    `addr add ${gateway}/24 dev cni0`,
    ...pods.flatMap((pod) => [
      `link set pod${pod.index} master cni0 up`,
      `link set pod${pod.index} type bridge_slave hairpin on`,
    ]),
  ];
}
