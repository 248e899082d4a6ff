import type { KernelObject, Owned } from "../kernel/state";

const POLICY_SET = /^egw-g?[sd]-[0-9a-f]{10}$/;

/**
 * The sets of policies that a node has and its claims don't know: its manifest was lost. They and the rules that name
 * them are left alone until their policies have claimed them again, or selected pods would leave by their node meanwhile.
 */
export function orphanSets(actual: readonly KernelObject[], desired: readonly Owned[]): string[] {
  const known = namesIn(desired);
  return actual.flatMap((o) => (o.kind === "ipset" && POLICY_SET.test(o.name) && !known.has(o.name) ? [o.name] : []));
}

/** A node without these sets, and what belongs to them, but for those that are wanted again. */
export function withoutOrphans(
  actual: readonly KernelObject[],
  orphans: ReadonlySet<string>,
  desired: readonly Owned[],
): readonly KernelObject[] {
  if (orphans.size === 0) return actual;
  const known = namesIn(desired);
  return actual.filter((object) => !setsOf(object).some((name) => orphans.has(name) && !known.has(name)));
}

export const namesIn = (desired: readonly Owned[]): ReadonlySet<string> =>
  new Set(desired.map(({ object }) => (object.kind === "ipset" ? object.name : "")));

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
