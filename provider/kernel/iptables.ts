import { type Kind, lines } from "./kind";

export type Table = "raw" | "mangle" | "nat" | "filter";
export const TABLES: readonly Table[] = ["mangle", "nat", "filter"];

/** A chain of ours. */
export interface Chain {
  readonly kind: "chain";
  readonly table: Table;
  readonly name: string;
}

/** A rule in a chain of ours, in the words of `iptables-save` without its `-A CHAIN`. */
export interface ChainRule {
  readonly kind: "chain-rule";
  readonly table: Table;
  readonly chain: string;
  readonly position: number;
  readonly rule: string;
}

/** Our jump in a built-in chain, or a goto to a chain of ours, which is never wanted. */
export interface Hook {
  readonly kind: "hook";
  readonly table: Table;
  readonly chain: string;
  readonly rule: string;
  /** `first`: nothing foreign may stand before it. `last`: nothing foreign may stand behind it. */
  readonly place: "first" | "last";
  /** Position among our own hooks of this place in this chain, from 0. */
  readonly rank: number;
  /** Foreign rules on the wrong side of it; empty when all is well. */
  readonly foreign: readonly string[];
}

const CHAIN_PREFIX = "EGRESSGATEWAY-";

/** Which built-in chain holds our jumps at its end. Everywhere else they stand at the front. */
export function placeIn(table: Table, chain: string): Hook["place"] {
  return (table === "nat" && chain === "PREROUTING") || (table === "filter" && chain === "OUTPUT") ? "last" : "first";
}

export const chain: Kind<Chain> = {
  kind: "chain",
  ownership: `its name begins with ${CHAIN_PREFIX}`,
  key: (o) => `chain ${o.table} ${o.name}`,
  text: (o) => `chain ${o.table} ${o.name}`,
  parse: (output) =>
    saved(output).flatMap(({ table, line }) => {
      const match = /^:(EGRESSGATEWAY-\S+) /.exec(line);
      return match ? [{ kind: "chain" as const, table, name: match[1] ?? "" }] : [];
    }),
};

export const chainRule: Kind<ChainRule> = {
  kind: "chain-rule",
  ownership: "it is in a chain of ours",
  key: (o) => `iptables ${o.table} ${o.chain} ${o.rule}`,
  text: (o) => `iptables ${o.table} ${o.chain} ${o.rule}`,
  parse: (output) => {
    const positions = new Map<string, number>();
    return saved(output).flatMap(({ table, line }) => {
      const match = /^-A (EGRESSGATEWAY-\S+) (.*)$/.exec(line);
      if (!match) return [];
      const [, name = "", rule = ""] = match;
      const position = positions.get(`${table} ${name}`) ?? 0;
      positions.set(`${table} ${name}`, position + 1);
      return [{ kind: "chain-rule" as const, table, chain: name, position, rule }];
    });
  },
};

export const hook: Kind<Hook> = {
  kind: "hook",
  ownership: `its target's name begins with ${CHAIN_PREFIX}`,
  key: (o) => `iptables ${o.table} ${o.chain} ${o.rule}`,
  text: (o) =>
    `iptables ${o.table} ${o.chain} ${o.rule} (${o.place} ${o.rank})${o.foreign.map((rule) => ` ${o.place === "first" ? "behind" : "before"} foreign "${rule}"`).join("")}`,
  parse: (output) => {
    const builtin = new Map<string, { table: Table; chain: string; rules: string[] }>();
    for (const { table, line } of saved(output)) {
      const match = /^-A ((?!EGRESSGATEWAY-)\S+) (.*)$/.exec(line);
      if (!match) continue;
      const [, name = "", rule = ""] = match;
      const entry = builtin.get(`${table} ${name}`) ?? { table, chain: name, rules: [] };
      entry.rules.push(rule);
      builtin.set(`${table} ${name}`, entry);
    }
    return [...builtin.values()].flatMap(hooksOf);
  },
};

/** True for a rule that jumps or goes to a chain of ours. */
const isOurJump = (rule: string): boolean => new RegExp(`(^| )-[jg] ${CHAIN_PREFIX}\\S+$`).test(rule);

/** `last` hooks of filter FORWARD exist only where the policy is DROP; they jump to this chain. */
const LAST_TARGET = `${CHAIN_PREFIX}KEEP`;

function hooksOf({ table, chain: name, rules }: { table: Table; chain: string; rules: string[] }): Hook[] {
  const found: Hook[] = [];
  rules.forEach((rule, index) => {
    if (!isOurJump(rule)) return;
    const place = rule.endsWith(` ${LAST_TARGET}`) ? "last" : placeIn(table, name);
    const side = place === "first" ? rules.slice(0, index) : rules.slice(index + 1);
    const rank = found.filter((other) => other.place === place).length;
    found.push({
      kind: "hook",
      table,
      chain: name,
      rule,
      place,
      rank,
      foreign: side.filter((other) => !isOurJump(other)),
    });
  });
  return found;
}

function saved(output: string): { table: Table; line: string }[] {
  let table: Table = "filter";
  return lines(output).flatMap((line) => {
    if (line.startsWith("*")) {
      table = line.slice(1) as Table;
      return [];
    }
    // Some versions print a MAC in capitals.
    return [{ table, line: line.replace(/--mac-source \S+/, (text) => text.toLowerCase()) }];
  });
}
