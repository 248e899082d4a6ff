import type { ConnectionRef } from "./connection";

/** Plain (resolved) arguments of the resources, as `check` meets them. In a first preview any part of them may be UNKNOWN. */

/** How Pulumi writes a value that is not known yet (rpc.unknownValue). */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export interface FleetArgs {
  /** Lower case letters, digits and hyphens; at most 63 characters. */
  readonly name: string;
  /** The node that keeps the fleet's registry of marks and egress IPs. */
  readonly registry: { readonly node: string; readonly connection: ConnectionRef };
  /** Destinations that never leave by an egress IP: all of the cluster's own networks. CIDRs. */
  readonly ignore: {
    readonly pods: readonly string[];
    readonly services: readonly string[];
    readonly nodes: readonly string[];
    readonly extra?: readonly string[];
  };
  /** UDP port of the tunnel. Default 4790. */
  readonly tunnelPort?: number;
  /** VXLAN network identifier. Default 4097. */
  readonly vni?: number;
  /** MTU of the tunnel device in bytes. Default: the uplink's MTU minus 50. */
  readonly mtu?: number;
  /** Network of the tunnel addresses, at least a /18. Default 100.126.0.0/16. */
  readonly tunnelCIDR?: string;
  /** Routing tables that legs may use (seed 002). Default {start: 3000, count: 100}. */
  readonly tables?: { readonly start?: number; readonly count?: number };
  /** Preference of our ip rules, 1..32765. Default 5000. */
  readonly rulePreference?: number;
}

export interface NodeMarkArgs {
  /** The node's name, unique in the fleet. */
  readonly node: string;
  readonly fleet: FleetArgs;
  readonly connection: ConnectionRef;
  /** IPv4 address by which the other nodes reach this one. */
  readonly underlayIP: string;
  /** Device that holds underlayIP. Default: found on the node. */
  readonly uplink?: string;
  /** Explicit mark `0x26VVVV00`. Default: follows from the node's name, or the next that is free. */
  readonly mark?: string;
}

/** A node as gateways and policies need to know it: a NodeMark's `ref` output. Made by NodeMark only; to be passed on whole. */
export interface NodeRef {
  /** The node's name, unique in its fleet. */
  readonly node: string;
  /** Name of the fleet that it is enrolled in; the nodes of a gateway are all of one. */
  readonly fleet: string;
  /** Index behind the mark, 1..16383: mark, tunnel address and MAC follow from it. */
  readonly index: number;
  /** IPv4 address `a.b.c.d` by which the other nodes reach it. */
  readonly underlayIP: string;
  /** Name of the device that holds `underlayIP`, e.g. `eth0`. */
  readonly uplink: string;
  /** The fleet's ignored networks, CIDRs: pods, services, nodes and extra together. */
  readonly ignore: readonly string[];
  /** Those of them that are pods' and services': no egress IP may lie there. */
  readonly clusterNetworks?: readonly string[];
  /** Name of the node that keeps the fleet's registry, and how to reach that one. */
  readonly registry: { readonly node: string; readonly connection: ConnectionRef };
  /** How to reach this node; keys are references. */
  readonly connection: ConnectionRef;
}

export interface EgressGatewayArgs {
  /** Nodes that hold the egress IPs, at least one. */
  readonly gateways: readonly NodeRef[];
  /** Nodes whose pods may be selected. Gateway nodes are clients of each other anyway. */
  readonly clients?: readonly NodeRef[];
  /** `a.b.c.d`, `a-b` or CIDR; at least one address. */
  readonly egressIPs: readonly string[];
  /**
   * Egress IP → name of the gateway node that must hold it. Default: spread, with the least movement.
   * "pod": the gateways are pods, and each egress IP is a pod's own address.
   */
  readonly placement?: "pod" | Readonly<Record<string, string>>;
  /** More destinations that never leave by these egress IPs. CIDRs. */
  readonly extraIgnore?: readonly string[];
  /** What new connections do when the tunnel is gone on their node. Default "drop". */
  readonly onTunnelLoss?: "drop" | "node-ip";
  /** New connections to an egress IP from outside. Default "drop". */
  readonly inbound?: "drop" | "allow";
  /** By which way answers come back to the pods' nodes: the tunnel, or the cluster's own routes. Default "tunnel". */
  readonly answers?: "tunnel" | "cluster";
  /** Seed 002's switch for Weave. Default false. */
  readonly weave?: boolean;
  /** What carries open connections: the node's stack, or TC programs past it. Default "iptables". */
  readonly datapath?: "iptables" | "bpf";
}

/** A gateway as policies need to know it: an EgressGateway's `ref` output. Made by EgressGateway only; to be passed on whole. */
export interface GatewayRef {
  /** Owner id, `gateway-UUID`: made once, kept through renames of resource and stack. */
  readonly id: string;
  /** Name of the EgressGateway when it was made; for messages. */
  readonly name: string;
  /** Name of the fleet of its nodes. */
  readonly fleet: string;
  /** All egress IPs in order, each `a.b.c.d`; ranges and CIDRs are written out. */
  readonly egressIPs: readonly string[];
  /** Egress IP → name of the gateway node that holds it. */
  readonly placement: Readonly<Record<string, string>>;
  /** The fleet's ignored networks and the gateway's own, CIDRs. */
  readonly ignore: readonly string[];
  /** Name of each gateway and client node → its host; where its connection differs in more from the others', those fields as JSON. */
  readonly nodes: Readonly<Record<string, string>>;
  /** What the connections to the nodes have in common. */
  readonly connection: Partial<ConnectionRef>;
}

export interface EgressPolicyArgs {
  readonly gateway: GatewayRef;
  /** Pods, as CIDRs or addresses; at least one. */
  readonly sources: { readonly cidrs: readonly string[] };
  /** Default: everything outside ignore. */
  readonly destinations?: { readonly cidrs?: readonly string[]; readonly except?: readonly string[] };
  /** One of the gateway's egress IPs. Not together with `allocation`. */
  readonly egressIP?: string;
  /** `default`: the gateway's first egress IP. `round-robin`: the next in turn, in the program's order. Default "default". */
  readonly allocation?: "default" | "round-robin";
  /** Default "keep". */
  readonly established?: "keep" | "cut";
}

/** One mistake of the user: where, and what is wrong with the way out named. */
export interface Problem {
  /** Path of the property, e.g. `sources.cidrs[2]`. */
  readonly path: string;
  readonly message: string;
}
