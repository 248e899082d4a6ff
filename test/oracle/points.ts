import type { Lab } from "../lab";

/** A device on which everything is captured, and what passes there. */
export interface Point {
  /** As people read it: "client-1 eth0". */
  readonly name: string;
  readonly netns: string;
  readonly device: string;
  /** Only what the host sends is captured there. */
  readonly outgoing: boolean;
  /**
   * pod: what a pod really sent, before anybody changed it.
   * uplink: what leaves a node. outward: the wire between the router and an outside host.
   */
  readonly kind: "pod" | "uplink" | "outward";
  /** The pod or node. */
  readonly host: string;
}

/** Where the oracle looks: every pod, every node, every wire to the outside, in the order in which a packet passes. */
export function capturePoints(lab: Lab): Point[] {
  const router = lab.hosts.find((host) => host.role === "router");
  if (router === undefined) throw new Error(`lab "${lab.name}" has no router`);
  const point = (kind: Point["kind"], host: string, netns: string, device: string): Point => ({
    name: `${host} ${device}`,
    netns,
    device,
    outgoing: kind !== "outward",
    kind,
    host,
  });
  return [
    ...lab.pods.map((pod) => point("pod", pod.name, pod.namespace, "eth0")),
    ...lab.nodes.map((node) => point("uplink", node.name, node.namespace, node.uplink)),
    // An outside host's eth0 is the other end of the same veth pair: one packet, one place.
    ...lab.outside.map((_, i) => point("outward", router.name, router.namespace, `out${i + 1}`)),
  ];
}

/** Ranges that no packet leaves the cluster for, multicast and link-local included. */
export function insideRanges(lab: Lab): string[] {
  const { pods, nodes, services, loadBalancers } = lab.ranges;
  return [pods, nodes, services, loadBalancers, "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"];
}
