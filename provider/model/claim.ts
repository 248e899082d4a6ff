import type { Address, Cidr } from "./address";
import type { Selection } from "./selection";

/**
 * A claim is what one Pulumi resource asks of one node. A node keeps the claims of all its owners in its manifest;
 * the node's desired state is compiled from all of them together, so what several owners share is there as long as one needs it.
 */
export type Claim = NodeClaim | GatewayClaim | PolicyClaim;

/** Who made a claim. The id is made at create and lives in state, so renames of stack and resource change nothing. */
export interface Owner {
  readonly id: string;
  readonly project: string;
  readonly stack: string;
  readonly name: string;
}

/** Settings that all nodes of a fleet share. */
export interface FleetSettings {
  readonly name: string;
  /** Destinations that never leave by an egress IP. */
  readonly ignore: readonly Cidr[];
  readonly tunnelPort: number;
  readonly vni: number;
  readonly tunnelCIDR: Cidr;
  readonly tables: { readonly start: number; readonly count: number };
  readonly rulePreference: number;
}

/** NodeMark: this node is enrolled; the base of everything else. */
export interface NodeClaim {
  readonly kind: "node";
  readonly owner: Owner;
  readonly node: string;
  readonly index: number;
  readonly underlay: Address;
  readonly uplink: string;
  /** MTU of the tunnel device in bytes. */
  readonly mtu: number;
  /** It is a network namespace of a machine: a gateway pod. */
  readonly netns?: string;
  readonly fleet: FleetSettings;
}

/** A node as the others need to know it. */
export interface PeerNode {
  readonly index: number;
  readonly underlay: Address;
  readonly gateway: boolean;
  /** A gateway pod: its machine is another node, or none of ours. */
  readonly pod?: true;
}

/** EgressGateway: which nodes hold which egress IPs. */
export interface GatewayClaim {
  readonly kind: "gateway";
  readonly owner: Owner;
  readonly nodes: Readonly<Record<string, PeerNode>>;
  /** Egress IP → name of the gateway node that holds it. */
  readonly placement: Readonly<Record<Address, string>>;
  /** Egress IPs whose address is not configured yet, while another node may still have it. */
  readonly hold: readonly Address[];
  readonly extraIgnore: readonly Cidr[];
  readonly onTunnelLoss: "drop" | "node-ip";
  readonly inbound: "drop" | "allow";
  readonly weave: boolean;
  /** Left out: iptables alone. */
  readonly datapath?: "bpf";
  /** Left out: answers come by the tunnel. */
  readonly answers?: "cluster";
}

/** What a policy selected before a change, and by which egress IP of which gateway it left. */
export interface FormerSelection extends Selection {
  readonly gateway: string;
  readonly egressIP: Address;
}

/** EgressPolicy: these sources to these destinations leave by that egress IP. */
export interface PolicyClaim extends Selection {
  readonly kind: "policy";
  readonly owner: Owner;
  /** Owner id of the gateway. */
  readonly gateway: string;
  readonly egressIP: Address;
  /** What happens to connections that are open when the policy comes or changes. Connections on a path that goes are always cut. */
  readonly established: "keep" | "cut";
  /** While a change is under way: what it selected before, and still does, with the source that it had. Not empty. */
  readonly also?: readonly FormerSelection[];
}
