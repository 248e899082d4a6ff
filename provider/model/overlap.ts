import type { Address, Cidr } from "./address";
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

/** All pairs that overlap, sorted by their labels; the order of `policies` does not matter. */
export function findOverlaps(policies: readonly NamedPolicy[]): Overlap[] {
  const sorted = policies.map(withSelected).sort((a, b) => a.selected.from - b.selected.from);
  const overlaps: Overlap[] = [];
  for (const [i, one] of sorted.entries()) {
    for (let j = i + 1; j < sorted.length; j++) {
      const two = sorted[j];
      // Sorted by their first source: all further ones begin where this one has ended.
      if (two === undefined || two.selected.from >= one.selected.to) break;
      overlaps.push(...overlapOf(one, two));
    }
  }
  return overlaps.sort(byLabels);
}

/** The overlaps of one policy with each of the others, sorted by label. */
export function findOverlapsWith(policy: NamedPolicy, others: readonly NamedPolicy[]): Overlap[] {
  const one = withSelected(policy);
  return others.flatMap((other) => overlapOf(one, withSelected(other))).sort(byLabels);
}

type Judged = NamedPolicy & { readonly selected: Selected };

const known = new WeakMap<NamedPolicy, Judged>();

function withSelected(policy: NamedPolicy): Judged {
  const judged = known.get(policy) ?? { ...policy, selected: select(policy, policy.ignore) };
  known.set(policy, judged);
  return judged;
}

function overlapOf(a: Judged, b: Judged): Overlap[] {
  if (a.egressIP === b.egressIP && a.gateway === b.gateway) return [];
  const pair = shared(a.selected, b.selected);
  if (pair === undefined) return [];
  const labels: [string, string] = a.label <= b.label ? [a.label, b.label] : [b.label, a.label];
  return [{ labels, ...pair }];
}

function byLabels(a: Overlap, b: Overlap): number {
  return compare(a.labels[0], b.labels[0]) || compare(a.labels[1], b.labels[1]);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
