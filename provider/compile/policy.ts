import { element } from "../kernel/ipset";
import type { KernelObject, Owned } from "../kernel/state";
import type { NodeView, PlacedPolicy } from "./view";

/** The sets of each policy, doubled: one pair chooses, the other guards. */
export function compilePolicies({ policies }: NodeView): Owned[] {
  // Of a large policy there are more than a call takes arguments.
  return policies.flatMap((placed) =>
    setsOf(placed).map((object): Owned => ({ object, owner: placed.policy.owner.id })),
  );
}

function setsOf({ policy, destinations: { match, nomatch }, sets }: PlacedPolicy): KernelObject[] {
  return [
    ...fill(sets.source, policy.sources, []),
    ...fill(sets.guardSource, policy.sources, []),
    ...fill(sets.destination, match, nomatch),
    ...fill(sets.guardDestination, match, nomatch),
  ];
}

function fill(name: string, match: readonly string[], nomatch: readonly string[]): KernelObject[] {
  const halves = match.flatMap((cidr) => (cidr === "0.0.0.0/0" ? ["0.0.0.0/1", "128.0.0.0/1"] : [cidr]));
  return [
    { kind: "ipset", name, type: "hash:net", timeout: 0 },
    ...halves.map((cidr) => ({ kind: "ipset-member" as const, set: name, element: element(cidr), nomatch: false })),
    ...nomatch.map((cidr) => ({ kind: "ipset-member" as const, set: name, element: element(cidr), nomatch: true })),
  ];
}
