import type { Table } from "../../../provider/kernel/iptables";
import { type FakeChain, ToolError, type World } from "./fake-world";

type Chains = Map<string, FakeChain>;

const VERDICTS = ["ACCEPT", "DROP", "RETURN", "MARK", "CONNMARK"];
/** Targets that only some tables have. */
const TARGETS: Readonly<Record<Table, readonly string[]>> = {
  raw: [...VERDICTS, "CT"],
  mangle: [...VERDICTS, "TCPMSS"],
  nat: [...VERDICTS, "SNAT", "DNAT", "MASQUERADE"],
  filter: [...VERDICTS, "REJECT"],
};

/** `iptables-restore --noflush`: each table is one commit that happens whole or not at all. */
export function runRestore(world: World, input: readonly string[]): void {
  let table: Table | undefined;
  let chains: Chains = new Map();
  for (const line of input) {
    if (line.startsWith("*")) {
      table = line.slice(1) as Table;
      chains = structuredClone(world.tables.get(table) ?? new Map());
    } else if (table === undefined) {
      throw new Error(`the fake misses a table before: ${line}`);
    } else if (line === "COMMIT") {
      world.tables.set(table, chains);
      table = undefined;
    } else {
      runLine(world, table, chains, line);
    }
  }
  if (table !== undefined) throw new Error("the fake misses a COMMIT");
}

function runLine(world: World, table: Table, chains: Chains, line: string): void {
  const [command = "", name = "", ...rest] = line.split(" ");
  const text = rest.join(" ");
  if (/^:EGRESSGATEWAY-\S+$/.test(command) && `${name} ${text}` === "- [0:0]") {
    makeChain(chains, command.slice(1));
    return;
  }
  const chain = chains.get(name);
  if (!chain) throw new ToolError(`${line}: No chain/target/match by that name.`);
  switch (command) {
    case "-A":
      check(world, table, chains, text);
      chain.rules.push(text);
      return;
    case "-I": {
      const [position = "", ...words] = rest;
      if (Number(position) < 1 || Number(position) > chain.rules.length + 1)
        throw new ToolError(`${line}: Index of insertion too big.`);
      check(world, table, chains, words.join(" "));
      chain.rules.splice(Number(position) - 1, 0, words.join(" "));
      return;
    }
    case "-D": {
      check(world, table, chains, text);
      const index = chain.rules.indexOf(text);
      if (index < 0) throw new ToolError(`${line}: Bad rule (does a matching rule exist in that chain?).`);
      chain.rules.splice(index, 1);
      return;
    }
    case "-F":
      chain.rules = [];
      return;
    case "-X":
      if (chain.policy || chain.rules.length > 0 || isReferenced(chains, name))
        throw new ToolError(`${line}: Device or resource busy`);
      chains.delete(name);
      return;
    default:
      throw new Error(`the fake doesn't know this iptables command: ${line}`);
  }
}

/** `:CHAIN - [0:0]` makes a user chain, or flushes it. */
function makeChain(chains: Chains, name: string): void {
  if (name.length > 28) throw new ToolError(`chain name "${name}" too long (must be under 29 chars)`);
  const chain = chains.get(name);
  if (chain) chain.rules = [];
  else chains.set(name, { rules: [] });
}

/** A rule names only sets and chains that are there, and targets that its table has. */
function check(world: World, table: Table, chains: Chains, rule: string): void {
  for (const match of rule.matchAll(/--match-set (\S+)/g)) {
    if (!world.sets.has(match[1] ?? "")) throw new ToolError(`Set ${match[1]} doesn't exist.`);
  }
  const target = / ?-([jg]) (\S+)/.exec(rule);
  if (!target) throw new Error(`the fake misses a target in: ${rule}`);
  const [, how, name = ""] = target;
  const isChain = chains.has(name) && chains.get(name)?.policy === undefined;
  const isTarget = how === "j" && TARGETS[table].includes(name);
  if (!isChain && !isTarget) throw new ToolError(`Chain '${name}' does not exist`);
}

function isReferenced(chains: Chains, name: string): boolean {
  return [...chains.values()].some((chain) => chain.rules.some((rule) => new RegExp(` ?-[jg] ${name}$`).test(rule)));
}
