import type { Address, Cidr } from "./address";
import { meet, type Range } from "./ranges";
import { type Selected, select, shared } from "./selection";

/** A policy as its overlap with others is judged. Networks are canonical. */
export interface NamedPolicy {
  readonly label: string;
  /** Owner id of the gateway. */
  readonly gateway: string;
  readonly sources: readonly Cidr[];
  /** Empty = everything. */
  readonly destinations: readonly Cidr[];
  readonly except: readonly Cidr[];
  readonly ignore: readonly Cidr[];
  readonly egressIP: Address;
}

/** Two policies, by label, that give packets from `source` to `destination` two egress IPs. */
export interface Overlap {
  readonly labels: readonly [string, string];
  readonly source: Cidr;
  readonly destination: Cidr;
}

/** The overlaps of one policy with each of the others, sorted by label. */
export function findOverlapsWith(policy: NamedPolicy, others: readonly NamedPolicy[]): Overlap[] {
  const one = judge(policy);
  return others.flatMap((other) => overlapOf(one, judge(other)) ?? []).sort(byLabels);
}

/** A policy, what it selects, and within which bounds. */
interface Judged {
  readonly policy: NamedPolicy;
  readonly selected: Selected;
  readonly sources: Range;
  readonly destinations: Range;
}

const judged = new WeakMap<NamedPolicy, Judged>();

function judge(policy: NamedPolicy): Judged {
  const known = judged.get(policy);
  if (known !== undefined) return known;
  const selected = select(policy, policy.ignore);
  const fresh = { policy, selected, sources: hull(selected.sources), destinations: hull(selected.left) };
  judged.set(policy, fresh);
  return fresh;
}

function hull(ranges: readonly Range[]): Range {
  return { start: ranges[0]?.start ?? 0, end: ranges.at(-1)?.end ?? 0 };
}

function overlapOf(a: Judged, b: Judged): Overlap | undefined {
  if (a.policy.egressIP === b.policy.egressIP && a.policy.gateway === b.policy.gateway) return undefined;
  if (!meet(a.sources, b.sources) || !meet(a.destinations, b.destinations)) return undefined;
  const pair = shared(a.selected, b.selected);
  if (pair === undefined) return undefined;
  const [first, second] = a.policy.label <= b.policy.label ? [a, b] : [b, a];
  return { labels: [first.policy.label, second.policy.label], ...pair };
}

function byLabels(a: Overlap, b: Overlap): number {
  return compare(a.labels[0], b.labels[0]) || compare(a.labels[1], b.labels[1]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
