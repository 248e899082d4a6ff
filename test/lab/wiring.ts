import { macOf, outsideAddress, overlayOverhead, plan, podGateway, podNextHopMac } from "./address-plan";
import { cniLines } from "./cni";
import { type Lab, type LabNode, type LabPod, namespaceOf } from "./topology";

/** The lab's network as lines for `ip -batch`. */
export interface Wiring {
  /** Creates every veth pair, both ends at once in the namespaces where they belong. */
  readonly links: readonly string[];
  /** What then makes up each namespace, by namespace. */
  readonly namespaces: ReadonlyMap<string, readonly string[]>;
}

/** Renders the links, addresses and routes of a lab. Pure. */
export function wiringOf(lab: Lab): Wiring {
  const { mtu } = lab.options;
  const switchNamespace = namespaceOf(lab.name, "switch");
  const routerNamespace = namespaceOf(lab.name, "router");
  const links: string[] = [];
  const namespaces = new Map<string, string[]>();
  const bridge = [`link add br0 mtu ${mtu} type bridge`, "link set br0 up"];

  for (const host of lab.hosts) {
    const [address] = host.addresses;
    if (host.role === "switch" || host.role === "outside" || address === undefined) continue;
    const port = `p-${host.name}`;
    links.push(
      `link add eth0 netns ${host.namespace} address ${macOf("uplink", address)} mtu ${mtu}` +
        ` type veth peer name ${port} netns ${switchNamespace} mtu ${mtu}`,
    );
    bridge.push(`link set ${port} master br0 up`);
    namespaces.set(host.namespace, ["link set eth0 up", `addr add ${address}/24 dev eth0`]);
  }
  namespaces.set(switchNamespace, bridge);

  const router = namespaces.get(routerNamespace) ?? [];
  lab.outside.forEach((outside, i) => {
    const { host, router: routerAddress } = outsideAddress(i + 1);
    const port = `out${i + 1}`;
    links.push(
      `link add eth0 netns ${outside.namespace} address ${macOf("uplink", host)} mtu ${mtu}` +
        ` type veth peer name ${port} netns ${routerNamespace} mtu ${mtu}`,
    );
    router.push(`link set ${port} up`, `addr add ${routerAddress}/24 dev ${port}`);
    const lines = ["link set eth0 up", `addr add ${host}/24 dev eth0`, `route add default via ${routerAddress}`];
    namespaces.set(outside.namespace, lines);
  });
  router.push(...routesBack(lab));

  for (const node of lab.nodes) {
    const lines = namespaces.get(node.namespace) ?? [];
    lines.push(`route add default via ${plan.router}`, ...cniLines(lab, node));
  }
  for (const pod of lab.pods) {
    const node = lab.nodes.find((candidate) => candidate.name === pod.node);
    if (node === undefined) continue;
    links.push(podLink(lab, node, pod));
    namespaces.set(pod.namespace, podLines(lab, node, pod));
  }
  for (const lines of namespaces.values()) lines.unshift("link set lo up");
  return { links, namespaces };
}

/** With these a packet that leaks with its pod's own address gets its answer, so that the leak shows. */
function routesBack(lab: Lab): string[] {
  const [first] = lab.nodes;
  const pods = lab.nodes.map((node) => `route add ${node.podCIDR} via ${node.underlayIP}`);
  return first === undefined ? pods : [...pods, `route add ${plan.loadBalancerCIDR} via ${first.underlayIP}`];
}

function podMtu(lab: Lab): number {
  return lab.options.cni === "overlay" ? lab.options.mtu - overlayOverhead : lab.options.mtu;
}

function podLink(lab: Lab, node: LabNode, pod: LabPod): string {
  const mtu = podMtu(lab);
  const nodeMac = lab.options.cni === "bridge" ? macOf("port", pod.address) : podNextHopMac;
  return (
    `link add eth0 netns ${pod.namespace} address ${macOf("pod", pod.address)} mtu ${mtu}` +
    ` type veth peer name pod${pod.index} netns ${node.namespace} address ${nodeMac} mtu ${mtu}`
  );
}

function podLines(lab: Lab, node: LabNode, pod: LabPod): string[] {
  if (lab.options.cni === "bridge") {
    const gateway = podGateway(node.number);
    return ["link set eth0 up", `addr add ${pod.address}/24 dev eth0`, `route add default via ${gateway}`];
  }
  return [
    "link set eth0 up",
    `addr add ${pod.address}/32 dev eth0`,
    `neigh replace ${plan.podNextHop} lladdr ${podNextHopMac} dev eth0 nud permanent`,
    `route add ${plan.podNextHop} dev eth0 scope link`,
    `route add default via ${plan.podNextHop} dev eth0`,
  ];
}
