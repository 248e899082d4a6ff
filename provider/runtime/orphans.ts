import type { KernelObject, Owned } from "../kernel/state";

const POLICY_SET = /^egw-g?[sd]-[0-9a-f]{10}$/;

/**
 * A node without the sets and rules of policies that its claims don't know. Where a manifest was lost, they are left
 * alone until their policies have claimed them again: without them selected pods would leave by their node meanwhile.
 */
export function withoutOrphans(actual: readonly KernelObject[], desired: readonly Owned[]): KernelObject[] {
  const known = new Set(desired.map(({ object }) => (object.kind === "ipset" ? object.name : "")));
  return actual.filter((object) => !setsOf(object).some((name) => POLICY_SET.test(name) && !known.has(name)));
}

function setsOf(object: KernelObject): string[] {
  switch (object.kind) {
    case "ipset":
      return [object.name];
    case "ipset-member":
      return [object.set];
    case "chain-rule":
      return [...object.rule.matchAll(/--match-set (\S+)/g)].map(([, name = ""]) => name);
    default:
      return [];
  }
}
