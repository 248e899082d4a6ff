/**
 * Every address of the lab. They exist in network namespaces only, so labs never meet.
 *
 *   operator 192.168.0.2 ─┐                                     ┌─ outside-1 203.0.113.10
 *   client-i 192.168.0.10+i ─ switch ─ 192.168.0.1  router ─────┤
 *   gateway-i 192.168.0.100+i ┘                                 └─ outside-2 203.0.114.10
 *   pods of node N: 10.0.N.11, 10.0.N.12 …; N = i on client-i, 100+i on gateway-i
 */
export const plan = {
  podCIDR: "10.0.0.0/16",
  underlayCIDR: "192.168.0.0/24",
  serviceCIDR: "10.96.0.0/16",
  loadBalancerCIDR: "198.51.100.0/24",
  /** Free addresses of the underlay, for tests to use as egress IPs. */
  egressPool: { first: "192.168.0.200", last: "192.168.0.250" },
  router: "192.168.0.1",
  operator: "192.168.0.2",
  /** What a pod takes for its gateway where the CNI routes (not in the bridge profile). */
  podNextHop: "169.254.1.1",
} as const;

/** The ports on which an outside host and (tcp and http: 80) a pod answer. */
export const outsidePorts = { tcp: 7001, udp: 7002, http: 8080 } as const;
export const podPorts = { tcp: 7001, udp: 7002, http: 80 } as const;

export const maxClients = 80;
export const maxGateways = 90;

export type NodeRole = "client" | "gateway";

/** The number of a node, which is the third byte of its pods' addresses. */
export function nodeNumber(role: NodeRole, index: number): number {
  return role === "client" ? index : 100 + index;
}

export function nodeAddress(role: NodeRole, index: number): string {
  return `192.168.0.${role === "client" ? 10 + index : 100 + index}`;
}

export function nodePodCIDR(number: number): string {
  return `10.0.${number}.0/24`;
}

export function podAddress(number: number, index: number): string {
  return `10.0.${number}.${10 + index}`;
}

/** The first address of a node's pod range: cni0 in the bridge profile. */
export function podGateway(number: number): string {
  return `10.0.${number}.1`;
}

/** The address of a node's vxlan device in the overlay profile. */
export function overlayAddress(number: number): string {
  return `10.0.${number}.0`;
}

/** Outside host i and the router's address on its link. */
export function outsideAddress(index: number): { host: string; router: string } {
  return { host: `203.0.${112 + index}.10`, router: `203.0.${112 + index}.1` };
}

/** A MAC that follows from an address, so that dumps are equal from one lab to the next. */
export function macOf(kind: "uplink" | "overlay" | "pod" | "port", address: string): string {
  const first = { uplink: "02", overlay: "06", pod: "0a", port: "0e" }[kind];
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return [first, "00", ...bytes].join(":");
}

/** The MAC of the node's end of every pod's veth: pods hold it as a fixed neighbour. */
export const podNextHopMac = "ee:ee:ee:ee:ee:ee";

/** The device over which pods of different nodes talk in the overlay profile. */
export const overlayDevice = "cni.vxlan";
export const overlayOverhead = 50;

/** The services that every node's kube-proxy chains serve. */
export const services = {
  web: { name: "default/web:http", clusterIP: "10.96.0.10", protocol: "tcp", port: 80, podPort: podPorts.http },
  shop: {
    name: "default/shop:http",
    clusterIP: "10.96.0.11",
    loadBalancerIP: "198.51.100.10",
    protocol: "tcp",
    port: 80,
    podPort: podPorts.http,
  },
  dns: { name: "kube-system/kube-dns:dns", clusterIP: "10.96.0.53", protocol: "udp", port: 53, podPort: podPorts.udp },
} as const;

export type ServiceName = keyof typeof services;
