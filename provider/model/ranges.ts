import { type Cidr, parseNetwork } from "./address";

/** Addresses from `start` up to, but not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A network as a range. */
export interface NetworkRange extends Range {
  readonly cidr: Cidr;
}

/** The addresses of one network. */
export function rangeOf(cidr: Cidr): NetworkRange {
  const network = parseNetwork(cidr);
  if (!network) throw new Error(`not an IPv4 network: ${JSON.stringify(cidr)}`);
  return { start: network.base, end: network.base + 2 ** (32 - network.length), cidr };
}

/** The networks sorted by address; equal ones once, networks inside another one dropped. */
export function outermost(cidrs: readonly Cidr[]): NetworkRange[] {
  const kept: NetworkRange[] = [];
  let covered = 0;
  for (const range of cidrs.map(rangeOf).sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (range.end <= covered) continue;
    kept.push(range);
    covered = range.end;
  }
  return kept;
}

/** The addresses of all networks as sorted ranges with gaps between them. */
export const rangesOf = (cidrs: readonly Cidr[]): Range[] => union(cidrs.map(rangeOf));

/** The addresses that are in any of these ranges, likewise. */
export function union(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last && last.end >= start) merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, end) };
    else merged.push({ start, end });
  }
  return merged;
}

/** What is left of `ranges` without `excluded`; both sorted and disjoint. */
export function subtract(ranges: readonly Range[], excluded: readonly Range[]): Range[] {
  return ranges.flatMap((range) => {
    const left: Range[] = [];
    let start = range.start;
    for (const hole of excluded) {
      if (hole.end <= start) continue;
      if (hole.start >= range.end) break;
      if (hole.start > start) left.push({ start, end: hole.start });
      start = hole.end;
    }
    if (start < range.end) left.push({ start, end: range.end });
    return left;
  });
}

/** The first range of `a` and of `b` that share an address; both lists sorted and disjoint. */
export function firstMeeting<T extends Range>(a: readonly T[], b: readonly T[]): readonly [T, T] | undefined {
  let i = 0;
  let j = 0;
  for (let one = a[i], two = b[j]; one && two; one = a[i], two = b[j]) {
    if (one.end <= two.start) i++;
    else if (two.end <= one.start) j++;
    else return [one, two];
  }
  return undefined;
}

/** The addresses that two ranges share. */
export function intersection(a: Range, b: Range): Range {
  return { start: Math.max(a.start, b.start), end: Math.min(a.end, b.end) };
}

/** True if two ranges share an address. */
export function meet(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}
