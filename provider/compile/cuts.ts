import { minimalCover } from "../model/address";
import type { Claim, GatewayClaim, PolicyClaim } from "../model/claim";
import { MASK_ALL, markOf } from "../model/mark";
import { firstMeeting, rangesOf } from "../model/ranges";
import { type NodeFacts, type NodeView, type PlacedPolicy, viewOf } from "./view";

/** Sources and destinations of connections. Networks are canonical CIDRs. */
export interface Connections {
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
  readonly except: readonly string[];
}

/** Which open connections end, and by what they are found. */
export interface Cut extends Connections {
  /** `mark`: on the path of that connmark, to the node with that underlay address. `snat`: translated to that address. `other`: on no path of ours. */
  readonly by:
    | { readonly kind: "mark"; readonly mark: number; readonly mask: number; readonly underlay?: string }
    | { readonly kind: "snat"; readonly address: string }
    | { readonly kind: "other" };
  /** Connections that stay nevertheless. */
  readonly spare?: readonly Connections[];
  /**
   * What has no connection of its own (UDP, ICMP echo) and begins anew with its next packet. All else of it would leave
   * with another source, and is refused for a while. Left out: all begins anew.
   */
  readonly anew?: readonly Connections[];
}

/**
 * The connections to end on one node when its claims change: a path that goes takes its connections along,
 * a policy that says "cut" takes those along that it finds open when it has come or changed.
 */
export function cutsOf(before: readonly Claim[], after: readonly Claim[], facts: NodeFacts): Cut[] {
  const old = viewOf(before.map(settled), facts);
  const now = viewOf(after.map(settled), facts);
  const then = byOwner(old);
  const next = byOwner(now);
  const formerly = viewOf(before.flatMap(former), facts)?.policies ?? [];
  const stillFormer = viewOf(after.flatMap(former), facts)?.policies ?? [];
  const of = (id: string) => (one: PlacedPolicy) => one.policy.owner.id === id;
  const underWay = new Set(after.filter((claim) => claim.kind === "policy" && claim.also).map(({ owner }) => owner.id));
  const cuts = ({ policy }: PlacedPolicy): boolean => {
    const { id } = policy.owner;
    const last = then.get(id);
    const isChanged = !last || formerly.some(of(id)) || !sameSelection(last.policy, policy);
    return policy.established === "cut" && isChanged && !underWay.has(id);
  };
  const left = [...then].flatMap(([id, placed]) => {
    const successor = next.get(id);
    return [placed, ...formerly.filter(of(id))].flatMap((one) => {
      const isSame = (still: PlacedPolicy) => samePath(one, still) && sameSelection(one.policy, still.policy);
      if (stillFormer.filter(of(id)).some(isSame)) return [];
      const stays = successor && (samePath(one, successor) || keepsOldPath(one, successor));
      if (stays && !cuts(successor)) return [];
      const connections = onPath(one).map((cut) => refusing(sparing(cut, one, now), [one.policy.egressIP], now));
      return stays
        ? connections.map((cut) => ({ ...cut, spare: [...(cut.spare ?? []), selection(successor)] }))
        : connections;
    });
  });
  const found = [...next.values()]
    .filter(cuts)
    .map((placed) => ({ ...outside(placed, now), by: { kind: "other" as const } }));
  return [...left, ...found, ...(old ? deserted(old, now) : [])].map((cut) => withUnderlay(cut, old));
}

/** A path with programs is known by its gateway node's address. */
function withUnderlay(cut: Cut, view: NodeView | undefined): Cut {
  const { by } = cut;
  if (by.kind !== "mark") return cut;
  const programmed = (view?.gateways ?? []).filter(({ datapath }) => datapath === "bpf");
  const peers = programmed.flatMap(({ nodes }) => Object.values(nodes));
  const peer = peers.find(({ index }) => markOf(index) === by.mark);
  return peer ? { ...cut, by: { ...by, underlay: peer.underlay } } : cut;
}

const byOwner = (view: NodeView | undefined): Map<string, PlacedPolicy> =>
  new Map(view?.policies.map((placed) => [placed.policy.owner.id, placed]));

/** A claim without what it only still selects, and with nothing but that. */
const settled = (claim: Claim): Claim => (claim.kind === "policy" ? { ...claim, also: undefined } : claim);
const former = (claim: Claim): Claim[] => {
  if (claim.kind !== "policy") return [claim];
  return (claim.also ?? []).map((also) => ({ ...claim, ...also, also: undefined }));
};

const EVERYTHING: Connections = { sources: ["0.0.0.0/0"], destinations: ["0.0.0.0/0"], except: [] };

/**
 * Paths that are gone, or that no policy uses any more now that one is deleted: what is still on them
 * was kept when a policy changed, and no policy that stands selects it.
 */
function deserted(old: NodeView, now: NodeView | undefined): Cut[] {
  const there = new Set(now?.gateways.flatMap((gateway) => pathsOf(now, gateway)).map(textOf));
  const used = new Set(now?.policies.flatMap((placed) => onPath(placed)).map(({ by }) => textOf(by)));
  const stay = new Set(now?.policies.map(({ policy }) => policy.owner.id));
  const lost = new Set(old.policies.filter(({ policy }) => !stay.has(policy.owner.id)).map(({ gateway }) => gateway));
  const paths = old.gateways.flatMap((gateway) =>
    pathsOf(old, gateway).filter((path) => !there.has(textOf(path)) || (lost.has(gateway) && !used.has(textOf(path)))),
  );
  return [...new Map(paths.map((path) => [textOf(path), path])).values()].map((by) =>
    refusing({ ...EVERYTHING, by }, sourcesOf(old, by), now),
  );
}

/** The addresses with which a path's connections may leave. */
function sourcesOf(view: NodeView, path: Cut["by"]): string[] {
  if (path.kind === "snat") return [path.address];
  const held = view.gateways.flatMap((gateway) =>
    Object.entries(gateway.placement).flatMap(([address, holder]) => {
      const index = gateway.nodes[holder]?.index;
      return index !== undefined && textOf(markedFor(index)) === textOf(path) ? [address] : [];
    }),
  );
  return [...new Set(held)];
}

/** What another policy has on the same path now stays there. */
function sparing(cut: Cut, placed: PlacedPolicy, now: NodeView | undefined): Cut {
  const { id } = placed.policy.owner;
  const heirs = selecting(cut, now).filter((one) => one.policy.owner.id !== id && samePath(one, placed));
  return heirs.length === 0 ? cut : { ...cut, spare: heirs.map(selection) };
}

/** The policies that select some of what a cut is about. */
function selecting({ sources }: Connections, now: NodeView | undefined): PlacedPolicy[] {
  const from = rangesOf(sources);
  return (now?.policies ?? []).filter(({ policy }) => firstMeeting(from, rangesOf(policy.sources)) !== undefined);
}

/** A flow begins anew where a policy gives it the one source that it had, or where the user said "cut". */
function refusing(cut: Cut, sources: readonly string[], now: NodeView | undefined): Cut {
  const isSame = ({ policy }: PlacedPolicy): boolean => sources.length === 1 && sources[0] === policy.egressIP;
  const anew = selecting(cut, now).filter((placed) => isSame(placed) || placed.policy.established === "cut");
  return { ...cut, anew: anew.map(selection) };
}

/** The ways out that a gateway gives this node: its own egress addresses, and the nodes that hold the others. */
function pathsOf({ node }: NodeView, gateway: GatewayClaim): Cut["by"][] {
  return Object.entries(gateway.placement).flatMap(([address, holder]): Cut["by"][] => {
    if (holder === node.node) return [{ kind: "snat", address }];
    const index = gateway.nodes[holder]?.index;
    return index === undefined ? [] : [markedFor(index)];
  });
}

const textOf = (path: Cut["by"]): string => JSON.stringify(path);
const markedFor = (index: number): Cut["by"] => ({ kind: "mark", mark: markOf(index), mask: MASK_ALL });

const samePath = (a: PlacedPolicy, b: PlacedPolicy): boolean =>
  a.at === b.at && a.peer === b.peer && a.policy.egressIP === b.policy.egressIP;

/** The user gave the policy another egress IP and said "keep": open connections stay where they are, as long as their address does. */
function keepsOldPath(a: PlacedPolicy, b: PlacedPolicy): boolean {
  const holder = a.gateway.placement[a.policy.egressIP];
  return (
    b.policy.established === "keep" &&
    b.policy.egressIP !== a.policy.egressIP &&
    holder !== undefined &&
    b.gateway.placement[a.policy.egressIP] === holder
  );
}

const sameSelection = (a: PolicyClaim, b: PolicyClaim): boolean =>
  JSON.stringify([a.sources, a.destinations, a.except, a.egressIP]) ===
  JSON.stringify([b.sources, b.destinations, b.except, b.egressIP]);

/** What a policy selects without what it never takes: connections inside the cluster are on no path of ours, and stay. */
function outside(placed: PlacedPolicy, view: NodeView | undefined): Connections {
  const selected = selection(placed);
  const own = view ? [...view.node.fleet.ignore, `${view.node.underlay}/32`] : [];
  const peers = Object.values(placed.gateway.nodes).map(({ underlay }) => `${underlay}/32`);
  return { ...selected, except: minimalCover([...selected.except, ...own, ...peers]) };
}

function selection({ policy, destinations: { match, nomatch } }: PlacedPolicy): Connections {
  return { sources: policy.sources, destinations: match, except: nomatch };
}

function onPath(placed: PlacedPolicy): Cut[] {
  if (placed.at === "here") return [{ ...selection(placed), by: { kind: "snat", address: placed.policy.egressIP } }];
  if (placed.at === "peer") return [{ ...selection(placed), by: markedFor(placed.peer ?? 0) }];
  return [];
}
