import type { ChainRule } from "../kernel/iptables";
import { compareText, type KernelObject, keyOf, type Owned, textOf } from "../kernel/state";
import { withWantedRanks } from "./hook-ranks";

/** One difference between what we want on a node and what is there. Both sides are carried. */
export interface Difference {
  readonly kind: "missing" | "changed" | "extra";
  readonly key: string;
  readonly desired?: KernelObject;
  readonly actual?: KernelObject;
  /** Owner id of the claim that is told. */
  readonly owner: string;
}

/**
 * Desired against actual, in both directions, sorted by key.
 * Something extra is told to the owner of what it doubles or what it is in (a set, a map, a policy's comment), else to `nodeOwner`.
 */
export function diff(desired: readonly Owned[], there: readonly KernelObject[], nodeOwner: string): Difference[] {
  const actual = withWantedRanks(
    desired.map(({ object }) => object),
    there,
  );
  const { found: right, rest } = matched(desired, actual);
  const left = byKey(rest);
  const owners = ownersOf(desired);
  const differences: Difference[] = [];
  for (const { object, owner } of desired) {
    if (right.has(textOf(object))) continue;
    const key = keyOf(object);
    const found = left.get(key);
    left.delete(key);
    if (!found) differences.push({ kind: "missing", key, desired: object, owner });
    else differences.push({ kind: "changed", key, desired: object, actual: found, owner });
  }
  for (const [key, object] of left) {
    differences.push({ kind: "extra", key, actual: object, owner: ownerOfExtra(object, owners) ?? nodeOwner });
  }
  return [...differences, ...misordered(desired, actual, differences)].sort((a, b) => compareText(a.key, b.key));
}

/** One line a difference, as preview shows it. */
export function describe({ kind, desired, actual }: Difference): string {
  switch (kind) {
    case "missing":
      return `missing  ${desired ? textOf(desired) : ""}`;
    case "extra":
      return `extra    ${actual ? textOf(actual) : ""}`;
    case "changed":
      return `changed  ${desired ? textOf(desired) : ""}  is  ${actual ? textOf(actual) : ""}`;
    default: {
      const never: never = kind;
      return never;
    }
  }
}

/** The texts that are wanted and there, and the actual objects that are left over. */
function matched(
  desired: readonly Owned[],
  actual: readonly KernelObject[],
): { found: Set<string>; rest: KernelObject[] } {
  const wanted = new Set(desired.map(({ object }) => textOf(object)));
  const found = new Set<string>();
  const rest: KernelObject[] = [];
  for (const object of actual) {
    const text = textOf(object);
    if (!wanted.has(text) || found.has(text)) rest.push(object);
    else found.add(text);
  }
  return { found, rest };
}

/** A second object with the same key (a rule added twice by hand) is an object of its own. */
function byKey(objects: readonly KernelObject[]): Map<string, KernelObject> {
  const map = new Map<string, KernelObject>();
  for (const object of objects) {
    const key = keyOf(object);
    let unique = key;
    for (let n = 2; map.has(unique); n++) unique = `${key} #${n}`;
    map.set(unique, object);
  }
  return map;
}

function ownersOf(desired: readonly Owned[]): Map<string, string> {
  const owners = new Map<string, string>();
  for (const { object, owner } of desired) {
    owners.set(`key ${keyOf(object)}`, owner);
    if (object.kind === "ipset") owners.set(`set ${object.name}`, owner);
    if (object.kind === "bpf-map") owners.set(`map ${object.name}`, owner);
    const comment = object.kind === "chain-rule" ? commentOf(object.rule) : undefined;
    if (comment !== undefined) owners.set(comment, owner);
  }
  return owners;
}

function ownerOfExtra(object: KernelObject, owners: ReadonlyMap<string, string>): string | undefined {
  const doubled = owners.get(`key ${keyOf(object)}`);
  if (doubled !== undefined) return doubled;
  if (object.kind === "ipset-member") return owners.get(`set ${object.set}`);
  if (object.kind === "bpf-entry") return owners.get(`map ${object.map}`);
  if (object.kind === "chain-rule") {
    const comment = commentOf(object.rule);
    return comment === undefined ? undefined : owners.get(comment);
  }
  return undefined;
}

/** The comment that every rule of a policy carries. */
const commentOf = (rule: string): string | undefined => /--comment (egw-[0-9a-f]+)/.exec(rule)?.[0];

/** Chains that hold the right rules in the wrong order: the first rule out of place is the change. */
function misordered(
  desired: readonly Owned[],
  actual: readonly KernelObject[],
  found: readonly Difference[],
): Difference[] {
  const touched = new Set(
    found
      .flatMap(({ desired: d, actual: a }) => [d, a])
      .flatMap((o) => (o?.kind === "chain-rule" ? [chainName(o)] : [])),
  );
  const there = rulesByChain(actual);
  const differences: Difference[] = [];
  for (const [chain, wanted] of rulesByChain(desired.map(({ object }) => object))) {
    if (touched.has(chain)) continue;
    const actualRules = there.get(chain) ?? [];
    const index = wanted.findIndex((rule, i) => rule.rule !== actualRules[i]?.rule);
    const rule = wanted[index];
    if (!rule) continue;
    const owner = desired.find(({ object }) => object === rule)?.owner ?? "";
    differences.push({ kind: "changed", key: keyOf(rule), desired: rule, actual: actualRules[index], owner });
  }
  return differences;
}

const chainName = (rule: { readonly table: string; readonly chain: string }): string => `${rule.table} ${rule.chain}`;

/** Rules of each chain in their order. */
export function rulesByChain(objects: readonly KernelObject[]): Map<string, ChainRule[]> {
  const chains = new Map<string, ChainRule[]>();
  for (const object of objects) {
    if (object.kind !== "chain-rule") continue;
    const rules = chains.get(chainName(object)) ?? [];
    rules.push(object);
    chains.set(chainName(object), rules);
  }
  for (const rules of chains.values()) rules.sort((a, b) => a.position - b.position);
  return chains;
}
