import { compareText, keyOf, type Owned } from "../kernel/state";
import type { Claim } from "../model/claim";
import { compileBase } from "./base";
import { compilePrograms } from "./bpf";
import { compileGateways } from "./gateway";
import { compilePolicies } from "./policy";
import { rulesOf } from "./rules";
import { type NodeFacts, viewOf } from "./view";

/**
 * The desired state of one node: pure, sorted, independent of the order of `claims`.
 * Without a node claim nothing of ours is wanted there.
 */
export function compileNode(claims: readonly Claim[], facts: NodeFacts): Owned[] {
  const view = viewOf(claims, facts);
  if (!view) return [];
  const owned = [
    ...compileBase(view),
    ...compileGateways(view),
    ...compilePolicies(view),
    ...rulesOf(view),
    ...compilePrograms(view),
  ];
  const unique = new Map<string, Owned>();
  for (const entry of owned) {
    const key = keyOf(entry.object);
    if (!unique.has(key)) unique.set(key, entry);
  }
  return [...unique.entries()].sort(([a], [b]) => compareText(a, b)).map(([, entry]) => entry);
}
