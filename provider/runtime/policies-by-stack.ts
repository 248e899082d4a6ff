import type { PolicyClaim } from "../model/claim";
import type { Snapshot } from "./snapshot";

/** `project/stack` → the policies of it that a node knows. */
type ByStack = ReadonlyMap<string, readonly PolicyClaim[]>;

const known = new WeakMap<Snapshot, ByStack>();

/** Sorted out once for each node as seen: every policy's check asks every node. */
export function policiesByStack(snapshot: Snapshot): ByStack {
  const found = known.get(snapshot) ?? sortedOut(snapshot);
  known.set(snapshot, found);
  return found;
}

function sortedOut({ claims }: Snapshot): ByStack {
  const byStack = new Map<string, PolicyClaim[]>();
  for (const claim of claims) {
    if (claim.kind !== "policy") continue;
    const stack = `${claim.owner.project}/${claim.owner.stack}`;
    const policies = byStack.get(stack) ?? [];
    policies.push(claim);
    byStack.set(stack, policies);
  }
  return byStack;
}
