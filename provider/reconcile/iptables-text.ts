import type { Chain, ChainRule, Hook, Table } from "../kernel/iptables";
import { compareText, type KernelObject } from "../kernel/state";
import { rulesByChain } from "./diff";

/** One table's part of a state that is ours. */
export interface TableState {
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly hooks: readonly Hook[];
}

export function tableState(objects: readonly KernelObject[], table: Table): TableState {
  const rules = rulesByChain(objects);
  const chains = objects
    .filter((object): object is Chain => object.kind === "chain" && object.table === table)
    .map((chain): [string, string[]] => [
      chain.name,
      (rules.get(`${table} ${chain.name}`) ?? []).map((rule: ChainRule) => rule.rule),
    ]);
  const hooks = objects.filter((object): object is Hook => object.kind === "hook" && object.table === table);
  return { chains: new Map(chains.sort(([a], [b]) => compareText(a, b))), hooks };
}

/**
 * The iptables-restore text that turns `from` into `to`, writing only chains that differ, so that counters of the others stay.
 * One table is one atomic commit (nft and legacy). Empty where nothing differs.
 */
export function restoreText(table: Table, from: TableState, to: TableState): string[] {
  const written = [...to.chains].filter(([name, rules]) => !sameRules(from.chains.get(name), rules));
  const removed = [...from.chains.keys()].filter((name) => !to.chains.has(name));
  const builtins = [...new Set([...from.hooks, ...to.hooks].map((hook) => hook.chain))].sort(compareText);
  const moved = builtins.filter((builtin) => hookText(from.hooks, builtin) !== hookText(to.hooks, builtin));
  if (written.length + removed.length + moved.length === 0) return [];
  return [
    `*${table}`,
    ...written.map(([name]) => `:${name} - [0:0]`),
    ...from.hooks.filter((hook) => moved.includes(hook.chain)).map((hook) => `-D ${hook.chain} ${hook.rule}`),
    ...removed.map((name) => `-F ${name}`),
    ...written.flatMap(([name, rules]) => rules.map((rule) => `-A ${name} ${rule}`)),
    ...moved.flatMap((builtin) => insertHooks(to.hooks.filter((hook) => hook.chain === builtin))),
    ...removed.map((name) => `-X ${name}`),
    "COMMIT",
  ];
}

/** `to` with the rules of `from` kept behind it in these chains: what may stand while other tables change. */
export function union(from: TableState, to: TableState, chains: readonly string[]): TableState {
  const merged = new Map([...to.chains].map(([name, rules]): [string, readonly string[]] => [name, rules]));
  for (const name of chains) {
    const before = from.chains.get(name);
    if (!before) continue;
    const now = merged.get(name) ?? [];
    merged.set(name, [...now, ...before.filter((rule) => !now.includes(rule))]);
  }
  const hooks = to.hooks.length > 0 ? to.hooks : from.hooks;
  // Chains that go stay until the last commit: a hook of `from` may still jump to them.
  for (const [name, rules] of from.chains) if (!merged.has(name)) merged.set(name, rules);
  return { chains: merged, hooks };
}

function insertHooks(hooks: readonly Hook[]): string[] {
  const sorted = [...hooks].sort((a, b) => a.rank - b.rank);
  return [
    // Undo puts a hook back behind the foreign rules that it was found behind.
    ...sorted
      .filter((hook) => hook.place === "first")
      .map((hook) => `-I ${hook.chain} ${hook.rank + hook.foreign.length + 1} ${hook.rule}`),
    ...sorted.filter((hook) => hook.place === "last").map((hook) => `-A ${hook.chain} ${hook.rule}`),
  ];
}

/** Equal for two lists of hooks in one chain exactly if nothing has to be moved. */
function hookText(hooks: readonly Hook[], chain: string): string {
  return hooks
    .filter((hook) => hook.chain === chain)
    .map((hook) => `${hook.place} ${hook.rank} ${hook.rule} ${hook.foreign.length}`)
    .sort(compareText)
    .join("\n");
}

const sameRules = (a: readonly string[] | undefined, b: readonly string[]): boolean =>
  a !== undefined && a.length === b.length && a.every((rule, i) => rule === b[i]);
