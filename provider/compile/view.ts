import type { ObjectName } from "../kernel/bpf-layout";
import { compareText, type KernelObject, type Owned } from "../kernel/state";
import { type Cidr, minimalCover } from "../model/address";
import type { Claim, GatewayClaim, NodeClaim, PeerNode, PolicyClaim } from "../model/claim";
import { destinationMembers } from "../model/selection";
import { type PolicySets, policySets } from "./names";
import { requirePlain, requirePlainTables } from "./plain-claims";

/** What compile needs to know of a node besides its claims; read from the node and kept in its manifest. */
export interface NodeFacts {
  /** Node index → routing table, as allocated on this node. */
  readonly tables: Readonly<Record<string, number>>;
  /** Built-in chains of the filter table whose policy is DROP. */
  readonly dropPolicies: readonly string[];
  /** Devices by which pods of the node are routed that a gateway with programs selects. */
  readonly podDevices?: readonly string[];
  /** Address of a gateway pod that this machine runs → the device by which it is routed. */
  readonly carried?: Readonly<Record<string, string>>;
  /** Devices whose rp_filter is loosened → what it was, what it is to be, and the address that it is lent for that: `1 2 a.b.c.d`. */
  readonly loosened?: Readonly<Record<string, string>>;
  /** Digests of the programs' objects. */
  readonly objects?: Readonly<Record<ObjectName, string>>;
}

/** A policy on this node, with what its gateway decided. */
export interface PlacedPolicy {
  readonly policy: PolicyClaim;
  readonly gateway: GatewayClaim;
  /** Where its egress IP is: on this node, on a peer, or nowhere (then its packets are dropped). */
  readonly at: "here" | "peer" | "nowhere";
  /** Index of the peer that holds the egress IP. */
  readonly peer?: number;
  /** Networks that it selects, and exceptions in them. */
  readonly destinations: { readonly match: readonly Cidr[]; readonly nomatch: readonly Cidr[] };
  readonly sets: PolicySets;
  /** What the policy selected before the change that is under way; where both select, the other one chooses. */
  readonly isFormer: boolean;
}

/** Everything that compile derives from the claims before it makes objects. */
export interface NodeView {
  readonly node: NodeClaim;
  readonly gateways: readonly GatewayClaim[];
  readonly policies: readonly PlacedPolicy[];
  readonly facts: NodeFacts;
}

/**
 * Claims sorted and joined: policies know where their egress IP is. Objects and cuts are made of a view and nothing else.
 * @throws Error where a claim has anything in it that must not become text of a rule or a command.
 */
export function viewOf(claims: readonly Claim[], facts: NodeFacts): NodeView | undefined {
  claims.forEach(requirePlain);
  requirePlainTables(facts.tables);
  const sorted = [...claims].sort((a, b) => compareText(a.owner.id, b.owner.id));
  const node = sorted.find((claim): claim is NodeClaim => claim.kind === "node");
  if (!node) return undefined;
  const gateways = sorted.filter((claim): claim is GatewayClaim => claim.kind === "gateway");
  const policies = sorted
    .filter((claim): claim is PolicyClaim => claim.kind === "policy")
    .flatMap((policy): PlacedPolicy[] => {
      return selectionsOf(policy).flatMap((one, i) => {
        const isFormer = i > 0;
        const gateway = gateways.find((candidate) => candidate.owner.id === one.gateway);
        // A policy whose gateway is not here selects all the same, and what it selects is dropped. What it only selected before never was selected here then.
        return gateway || !isFormer ? [{ ...place(node, one, gateway ?? absentGateway(one)), isFormer }] : [];
      });
    });
  return { node, gateways, policies, facts };
}

const absentGateway = (policy: PolicyClaim): GatewayClaim => ({
  kind: "gateway",
  owner: { ...policy.owner, id: policy.gateway },
  nodes: {},
  placement: {},
  hold: [],
  extraIgnore: [],
  onTunnelLoss: "drop",
  inbound: "drop",
  weave: false,
});

/** A policy that still selects what it selected before is several policies, the former ones last, but for those that one with the sources of both says. */
function selectionsOf({ also = [], ...policy }: PolicyClaim): PolicyClaim[] {
  const found = new Map<string, PolicyClaim>();
  for (const one of [policy, ...also.map((former) => ({ ...policy, ...former }))]) {
    // An address has one holder: one that was handed over to another gateway is where the policy now says.
    const rest = JSON.stringify([one.egressIP, one.destinations, one.except]);
    const known = found.get(rest);
    found.set(rest, known ? { ...known, sources: minimalCover([...known.sources, ...one.sources]) } : one);
  }
  return [...found.values()];
}

function place(node: NodeClaim, policy: PolicyClaim, gateway: GatewayClaim): Omit<PlacedPolicy, "isFormer"> {
  const destinations = destinationMembers({ ...policy, except: [...policy.except, ...gateway.extraIgnore] });
  const members = [...destinations.match, ...destinations.nomatch.map((cidr) => `${cidr} nomatch`)];
  const sets = policySets(policy.owner.id, policy.egressIP, members);
  const holder = gateway.placement[policy.egressIP];
  if (holder === node.node) return { policy, gateway, destinations, sets, at: "here" };
  const peer = holder === undefined ? undefined : gateway.nodes[holder]?.index;
  return { policy, gateway, destinations, sets, ...(peer === undefined ? { at: "nowhere" } : { at: "peer", peer }) };
}

/** Another node of a gateway, with the first gateway that both are of. */
export interface Peer extends Omit<PeerNode, "gateway"> {
  readonly owner: string;
}

/** The peers that this node has a leg to, by index: gateways for everyone, and everyone for a gateway. */
export function peersOf(view: NodeView): Peer[] {
  const peers = new Map<number, Peer>();
  for (const gateway of view.gateways) {
    const self = gateway.nodes[view.node.node];
    for (const [name, peer] of Object.entries(gateway.nodes)) {
      if (name === view.node.node || !self || !(self.gateway || peer.gateway) || peers.has(peer.index)) continue;
      const { index, underlay, pod } = peer;
      peers.set(index, { index, underlay, owner: gateway.owner.id, ...(pod ? { pod } : {}) });
    }
  }
  return [...peers.values()].sort((a, b) => a.index - b.index);
}

export const own = (owner: string, ...objects: KernelObject[]): Owned[] => objects.map((object) => ({ object, owner }));
