import type { Claim, PolicyClaim } from "../model/claim";
import { markOf } from "../model/mark";
import { destinationMembers } from "../model/selection";
import { type NodeFacts, type PlacedPolicy, viewOf } from "./node";

/** Which open connections end, and by what they are found. Networks are canonical CIDRs. */
export interface Cut {
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
  readonly except: readonly string[];
  /** `mark`: on the path of that connmark. `snat`: translated to that address. `other`: on no path of ours. */
  readonly by:
    | { readonly kind: "mark"; readonly mark: number }
    | { readonly kind: "snat"; readonly address: string }
    | { readonly kind: "other" };
}

/**
 * The connections to end on one node when its claims change: a path that goes takes its connections along,
 * a policy that says "cut" takes those along that it finds open when it comes or changes.
 */
export function cutsOf(before: readonly Claim[], after: readonly Claim[], facts: NodeFacts): Cut[] {
  const old = viewOf(before, facts)?.policies ?? [];
  const now = new Map((viewOf(after, facts)?.policies ?? []).map((placed) => [placed.policy.owner.id, placed]));
  const gone = old.flatMap((placed) => {
    const next = now.get(placed.policy.owner.id);
    const isKept = next !== undefined && (samePath(placed, next) || keepsOldPath(placed, next));
    return isKept ? [] : onPath(placed);
  });
  const fresh = [...now.values()].flatMap((placed) => {
    const last = old.find((candidate) => candidate.policy.owner.id === placed.policy.owner.id);
    if (placed.policy.established !== "cut" || (last && sameSelection(last.policy, placed.policy))) return [];
    return [{ ...selection(placed), by: { kind: "other" as const } }];
  });
  return [...gone, ...fresh];
}

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

function selection({ policy, gateway }: PlacedPolicy): Pick<Cut, "sources" | "destinations" | "except"> {
  const { match, nomatch } = destinationMembers({ ...policy, except: [...policy.except, ...gateway.extraIgnore] });
  return { sources: policy.sources, destinations: match, except: nomatch };
}

function onPath(placed: PlacedPolicy): Cut[] {
  if (placed.at === "here") return [{ ...selection(placed), by: { kind: "snat", address: placed.policy.egressIP } }];
  if (placed.at === "peer") return [{ ...selection(placed), by: { kind: "mark", mark: markOf(placed.peer ?? 0) } }];
  return [];
}
