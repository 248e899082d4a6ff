import { GATEWAY_EXCLUDED } from "../kernel/bpf-layout";
import {
  type Address,
  type Cidr,
  formatAddress,
  formatNetwork,
  masked,
  type Network,
  parseNetwork,
} from "../model/address";
import { NetworkMap } from "../model/network-map";
import { shortHash } from "./names";

/** What one policy selects, and where that goes; of two that select the same the first one counts. */
export interface PolicyRule {
  /** Its own among all rules: classes are named by it. */
  readonly id: string;
  /** Owner id of the policy. */
  readonly owner: string;
  readonly sources: readonly Cidr[];
  /** Networks that it selects, and exceptions in them: of those that hold an address the longest counts. */
  readonly match: readonly Cidr[];
  readonly nomatch: readonly Cidr[];
  readonly egressIP: Address;
  /** Underlay address of the gateway node; GATEWAY_NONE where there is none. */
  readonly gateway: Address;
}

/** An entry of the policy map. `source` is an address, or a class in the form of one. */
export interface PolicyEntry {
  /** Of the rule that decides, or where none does, of the first of those that select the source. */
  readonly owner: string;
  readonly source: Address;
  readonly destination: Cidr;
  readonly egressIP: Address;
  readonly gateway: Address;
}

/** An entry of the sources map. */
export interface SourceEntry {
  readonly owner: string;
  readonly network: Cidr;
  readonly class: Address;
}

type Verdict = Pick<PolicyEntry, "owner" | "egressIP" | "gateway">;
type Decision = Omit<PolicyEntry, "source">;

const EXCLUDED = { egressIP: "0.0.0.0", gateway: GATEWAY_EXCLUDED };
/** Classes are in 0.0.0.0/8 and begin at 0.0.0.1. */
const CLASSES = 2 ** 24 - 1;

/** The list of no rules: its class has no entries. */
const NONE = "";

/**
 * The maps of a client node. Each source, and each class of wider networks, has entries for all rules that hold it, so that
 * one look-up decides; `never` is selected by none. Entries grow with the sources times the destinations of their rules.
 * An address that a rule leaves to the stack inside of a wider network has the class of none, else that network's would decide; all such have the same.
 */
export function policyEntries(
  rules: readonly PolicyRule[],
  never: readonly Cidr[],
): { readonly policies: readonly PolicyEntry[]; readonly sources: readonly SourceEntry[] } {
  const groups = groupsOf(rules);
  const classed = groups.flatMap((group) => {
    if (group.network.length < 32) return [{ ...group, classKey: group.key }];
    const isLeft = group.isInside && group.own.some((index) => rules[index]?.gateway === GATEWAY_EXCLUDED);
    return isLeft ? [{ ...group, classKey: NONE }] : [];
  });
  const classes = classesOf(classed.map(({ classKey }) => classKey));
  const tables = new Map<string, readonly Decision[]>();
  const tableOf = ({ key, indexes }: Group) => {
    const table =
      tables.get(key) ??
      decide(
        indexes.flatMap((i) => rules[i] ?? []),
        never,
      );
    tables.set(key, table);
    return table;
  };
  const policies = new Map<string, PolicyEntry>();
  for (const group of groups) {
    const source = group.network.length === 32 ? formatAddress(group.network.base) : (classes.get(group.key) ?? "");
    for (const entry of tableOf(group)) policies.set(`${source} ${entry.destination}`, { source, ...entry });
  }
  return {
    policies: [...policies.values()],
    sources: classed.map(({ network, indexes, classKey }) => ({
      owner: rules[indexes[0] ?? 0]?.owner ?? "",
      network: formatNetwork(network),
      class: classes.get(classKey) ?? "",
    })),
  };
}

/** A network that rules have as a source, and all rules that hold it. */
interface Group {
  readonly network: Network;
  /** Those that have it themselves. */
  readonly own: readonly number[];
  readonly indexes: readonly number[];
  /** Whether a wider one holds it that is not left to the stack. */
  readonly isInside: boolean;
  readonly key: string;
}

function groupsOf(rules: readonly PolicyRule[]): Group[] {
  const byNetwork = new Map<string, { readonly network: Network; readonly indexes: number[] }>();
  for (const [index, { sources }] of rules.entries())
    for (const source of sources) {
      const network = parsed(source);
      const found = byNetwork.get(formatNetwork(network)) ?? { network, indexes: [] };
      byNetwork.set(formatNetwork(network), found);
      found.indexes.push(index);
    }
  const lengths = [...new Set([...byNetwork.values()].map(({ network }) => network.length))];
  return [...byNetwork.values()].map(({ network, indexes: own }) => {
    const around = lengths
      .filter((length) => length < network.length)
      .flatMap((length) => byNetwork.get(formatNetwork({ base: masked(network.base, length), length }))?.indexes ?? []);
    const indexes = [...new Set([...own, ...around])].sort((a, b) => a - b);
    const key = indexes.map((index) => rules[index]?.id).join(" ");
    const isInside = around.some((index) => rules[index]?.gateway !== GATEWAY_EXCLUDED);
    return { network, own, indexes, isInside, key };
  });
}

/** A class for each of these lists of rules. They follow from the lists, so that another policy changes few of them. */
function classesOf(keys: readonly string[]): Map<string, Address> {
  const taken = new Set<number>();
  return new Map(
    [...new Set(keys)].sort().map((key) => {
      let number = Number.parseInt(shortHash(key), 16) % CLASSES;
      while (taken.has(number)) number = (number + 1) % CLASSES;
      taken.add(number);
      return [key, formatAddress(number + 1)];
    }),
  );
}

/** Destinations with what becomes of them: as few as a longest-prefix match needs. */
function decide(rules: readonly PolicyRule[], never: readonly Cidr[]): Decision[] {
  const excluded: Verdict = { ...EXCLUDED, owner: rules[0]?.owner ?? "" };
  const none = lengthsOf(never);
  const lists = rules.map((rule) => ({ rule, match: lengthsOf(rule.match), nomatch: lengthsOf(rule.nomatch) }));
  // Of the addresses in a network that are in none of the longer ones.
  const verdictOn = (network: Network): Verdict => {
    if (none.longest(network) !== undefined) return excluded;
    const lengthIn = (list: NetworkMap<number>): number => list.longest(network) ?? -1;
    return lists.find(({ match, nomatch }) => lengthIn(match) > lengthIn(nomatch))?.rule ?? excluded;
  };
  const all = [...new Set([...rules.flatMap(({ match, nomatch }) => [...match, ...nomatch]), ...never])];
  const networks = all
    .map((destination) => ({ destination, network: parsed(destination) }))
    .sort((a, b) => a.network.length - b.network.length || (a.destination < b.destination ? -1 : 1));
  const kept: Decision[] = [];
  const decisions = new NetworkMap<Decision>();
  for (const { destination, network } of networks) {
    const { owner, egressIP, gateway } = verdictOn(network);
    const around = decisions.longest(network) ?? excluded;
    if (around.egressIP === egressIP && around.gateway === gateway) continue;
    const decision = { owner, destination, egressIP, gateway };
    kept.push(decision);
    decisions.set(network, decision);
  }
  return kept;
}

/** Of each of these networks its length. */
function lengthsOf(cidrs: readonly Cidr[]): NetworkMap<number> {
  const lengths = new NetworkMap<number>();
  for (const network of cidrs.map(parsed)) lengths.set(network, network.length);
  return lengths;
}

function parsed(cidr: Cidr): Network {
  const network = parseNetwork(cidr);
  if (!network) throw new Error(`not an IPv4 network: ${JSON.stringify(cidr)}`);
  return network;
}
