import { placeIn, type Table } from "../kernel/iptables";
import type { Owned } from "../kernel/state";
import { own } from "./view";

/** A rule of a chain of ours, as iptables-save prints it. */
export interface OwnedRule {
  readonly rule: string;
  readonly owner: string;
}

/** A chain with its rules in their order. */
export function chainOf(table: Table, name: string, owner: string, rules: readonly OwnedRule[]): Owned[] {
  return [
    ...own(owner, { kind: "chain", table, name }),
    ...rules.map(({ rule, owner: ruleOwner }, position) => ({
      object: { kind: "chain-rule" as const, table, chain: name, position, rule },
      owner: ruleOwner,
    })),
  ];
}

/** Jumps from a built-in chain. */
export function hooks(
  table: Table,
  chain: string,
  owner: string,
  jumps: readonly string[],
  place = placeIn(table, chain),
): Owned[] {
  return jumps.flatMap((rule, rank) => own(owner, { kind: "hook", table, chain, rule, place, rank, foreign: [] }));
}
