import { type Cidr, parseNetwork } from "./address";

/** Addresses from `start` up to, but not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The addresses of all networks as sorted ranges with gaps between them. */
export function rangesOf(cidrs: readonly Cidr[]): Range[] {
  const sorted = cidrs.map(rangeOf).sort((a, b) => a.start - b.start);
  const merged: Range[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last && range.start <= last.end)
      merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
    else merged.push(range);
  }
  return merged;
}

/** The addresses of one network. */
export function rangeOf(cidr: Cidr): Range {
  const network = parseNetwork(cidr);
  if (!network) throw new Error(`not an IPv4 network: ${JSON.stringify(cidr)}`);
  return { start: network.base, end: network.base + 2 ** (32 - network.length) };
}

/** What is left of `ranges` without `excluded`; both as rangesOf gives them. */
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

/** The first addresses that both have; undefined if they have none in common. */
export function firstShared(a: readonly Range[], b: readonly Range[]): Range | undefined {
  let i = 0;
  let j = 0;
  for (let one = a[i], two = b[j]; one && two; one = a[i], two = b[j]) {
    if (one.start < two.end && two.start < one.end) {
      return { start: Math.max(one.start, two.start), end: Math.min(one.end, two.end) };
    }
    if (one.end <= two.end) i++;
    else j++;
  }
  return undefined;
}
