import { GATEWAY_EXCLUDED } from "../kernel/bpf-layout";
import {
  type Address,
  type Cidr,
  contains,
  formatAddress,
  formatNetwork,
  type Network,
  parseNetwork,
} from "../model/address";
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

/**
 * The maps of a client node. Each source, and each class of wider networks, has entries for all rules that hold it, so that
 * one look-up decides; `never` is selected by none. Entries grow with the sources times the destinations of their rules.
 */
export function policyEntries(
  rules: readonly PolicyRule[],
  never: readonly Cidr[],
): { readonly policies: readonly PolicyEntry[]; readonly sources: readonly SourceEntry[] } {
  const groups = groupsOf(rules);
  const classes = classesOf(groups.filter(({ network }) => network.length < 32).map(({ key }) => key));
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
  const wide = groups.filter(({ network }) => network.length < 32);
  return {
    policies: [...policies.values()],
    sources: wide.map(({ network, indexes, key }) => ({
      owner: rules[indexes[0] ?? 0]?.owner ?? "",
      network: formatNetwork(network),
      class: classes.get(key) ?? "",
    })),
  };
}

/** A network that some rule has as a source, and all rules that hold it. */
interface Group {
  readonly network: Network;
  readonly indexes: readonly number[];
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
  return [...byNetwork.values()].map(({ network }) => {
    const holding = lengths
      .filter((length) => length <= network.length)
      .flatMap((length) => byNetwork.get(formatNetwork({ base: masked(network.base, length), length }))?.indexes ?? []);
    const indexes = [...new Set(holding)].sort((a, b) => a - b);
    return { network, indexes, key: indexes.map((index) => rules[index]?.id).join(" ") };
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
  const all = [...new Set([...rules.flatMap(({ match, nomatch }) => [...match, ...nomatch]), ...never])];
  const networks = all.sort((a, b) => parsed(a).length - parsed(b).length || (a < b ? -1 : 1));
  const kept: Decision[] = [];
  for (const destination of networks) {
    const { owner, egressIP, gateway } = verdictOn(destination, rules, never) ?? excluded;
    const around = kept.findLast((entry) => contains(entry.destination, destination)) ?? excluded;
    if (around.egressIP !== egressIP || around.gateway !== gateway)
      kept.push({ owner, destination, egressIP, gateway });
  }
  return kept;
}

/** Of the addresses in a network that are in none of the longer ones. */
function verdictOn(network: Cidr, rules: readonly PolicyRule[], never: readonly Cidr[]): Verdict | undefined {
  if (never.some((one) => contains(one, network))) return undefined;
  return rules.find(({ match, nomatch }) => longest(match, network) > longest(nomatch, network));
}

const longest = (networks: readonly Cidr[], inner: Cidr): number =>
  Math.max(-1, ...networks.filter((one) => contains(one, inner)).map((one) => parsed(one).length));

const masked = (address: number, length: number): number => address - (address % 2 ** (32 - length));

function parsed(cidr: Cidr): Network {
  const network = parseNetwork(cidr);
  if (!network) throw new Error(`not an IPv4 network: ${JSON.stringify(cidr)}`);
  return network;
}
