import type { Claim, GatewayClaim, PolicyClaim } from "../model/claim";
import { MASK_ALL, markOf } from "../model/mark";
import { type NodeFacts, type NodeView, type PlacedPolicy, viewOf } from "./node";

/** Sources and destinations of connections. Networks are canonical CIDRs. */
export interface Connections {
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
  readonly except: readonly string[];
}

/** Which open connections end, and by what they are found. */
export interface Cut extends Connections {
  /** `mark`: on the path of that connmark. `snat`: translated to that address. `other`: on no path of ours. */
  readonly by:
    | { readonly kind: "mark"; readonly mark: number; readonly mask: number }
    | { readonly kind: "snat"; readonly address: string }
    | { readonly kind: "other" };
  /** Connections that stay nevertheless. */
  readonly spare?: Connections;
}

/**
 * The connections to end on one node when its claims change: a path that goes takes its connections along,
 * a policy that says "cut" takes those along that it finds open when it comes or changes.
 */
export function cutsOf(before: readonly Claim[], after: readonly Claim[], facts: NodeFacts): Cut[] {
  const old = viewOf(before, facts);
  const now = viewOf(after, facts);
  const then = new Map(old?.policies.map((placed) => [placed.policy.owner.id, placed]));
  const next = new Map(now?.policies.map((placed) => [placed.policy.owner.id, placed]));
  const left = [...then].flatMap(([id, placed]) => {
    const successor = next.get(id);
    if (!successor || !(samePath(placed, successor) || keepsOldPath(placed, successor))) return onPath(placed);
    const isCut = successor.policy.established === "cut" && !sameSelection(placed.policy, successor.policy);
    return isCut ? onPath(placed).map((cut) => ({ ...cut, spare: selection(successor) })) : [];
  });
  const found = [...next].flatMap(([id, placed]) => {
    const last = then.get(id);
    if (placed.policy.established !== "cut" || (last && sameSelection(last.policy, placed.policy))) return [];
    return [{ ...selection(placed), by: { kind: "other" as const } }];
  });
  return [...left, ...found, ...(old ? deserted(old, now).map((by) => ({ ...EVERYTHING, by })) : [])];
}

const EVERYTHING: Connections = { sources: ["0.0.0.0/0"], destinations: ["0.0.0.0/0"], except: [] };

/**
 * Paths that are gone, or that no policy uses any more now that one is deleted: what is still on them
 * was kept when a policy changed, and no policy that stands selects it.
 */
function deserted(old: NodeView, now: NodeView | undefined): Cut["by"][] {
  const there = new Set(now?.gateways.flatMap((gateway) => pathsOf(now, gateway)).map(textOf));
  const used = new Set(now?.policies.flatMap((placed) => onPath(placed)).map(({ by }) => textOf(by)));
  const stay = new Set(now?.policies.map(({ policy }) => policy.owner.id));
  const lost = new Set(old.policies.filter(({ policy }) => !stay.has(policy.owner.id)).map(({ gateway }) => gateway));
  const paths = old.gateways.flatMap((gateway) =>
    pathsOf(old, gateway).filter((path) => !there.has(textOf(path)) || (lost.has(gateway) && !used.has(textOf(path)))),
  );
  return [...new Map(paths.map((path) => [textOf(path), path])).values()];
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

function selection({ policy, destinations: { match, nomatch } }: PlacedPolicy): Connections {
  return { sources: policy.sources, destinations: match, except: nomatch };
}

function onPath(placed: PlacedPolicy): Cut[] {
  if (placed.at === "here") return [{ ...selection(placed), by: { kind: "snat", address: placed.policy.egressIP } }];
  if (placed.at === "peer") return [{ ...selection(placed), by: markedFor(placed.peer ?? 0) }];
  return [];
}
