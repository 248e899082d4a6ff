import { type Cidr, contains, minimalCover, sortCidrs } from "./address";
import { firstShared, type Range, rangeOf, rangesOf, subtract } from "./ranges";

/** What a policy selects, before it becomes set members. */
export interface Selection {
  readonly sources: readonly Cidr[];
  readonly destinations: readonly Cidr[];
  readonly except: readonly Cidr[];
}

/** Destinations and exceptions so that the longest prefix decides right: an exception always wins over the destinations inside it. */
export function destinationMembers(selection: Selection): { match: Cidr[]; nomatch: Cidr[] } {
  const nomatch = minimalCover(selection.except);
  const match = wanted(selection)
    .flatMap((cidr) => (cidr === "0.0.0.0/0" ? ["0.0.0.0/1", "128.0.0.0/1"] : [cidr]))
    .filter((cidr) => !nomatch.some((exception) => contains(exception, cidr)));
  return {
    match: sortCidrs(match),
    nomatch: sortCidrs(nomatch.filter((exception) => match.some((cidr) => contains(cidr, exception)))),
  };
}

/** A selection with its addresses as ranges, so that thousands are compared fast. */
export interface Selected {
  /** First source address, and the one after the last. */
  readonly from: number;
  readonly to: number;
  readonly sources: readonly Named[];
  readonly sourceRanges: readonly Range[];
  readonly destinations: readonly Named[];
  /** Without exceptions and ignored networks. */
  readonly destinationRanges: readonly Range[];
}

interface Named extends Range {
  readonly cidr: Cidr;
}

/** What a selection selects. `ignore` is never selected. */
export function select(selection: Selection, ignore: readonly Cidr[] = []): Selected {
  const sources = minimalCover(selection.sources);
  const sourceRanges = rangesOf(sources);
  const destinations = wanted(selection);
  return {
    from: sourceRanges[0]?.start ?? 0,
    to: sourceRanges.at(-1)?.end ?? 0,
    sources: sources.map(named),
    sourceRanges,
    destinations: destinations.map(named),
    destinationRanges: subtract(rangesOf(destinations), rangesOf([...selection.except, ...ignore])),
  };
}

/** The first source and destination that two share, in the words of the user; undefined if they share none. */
export function shared(a: Selected, b: Selected): { source: Cidr; destination: Cidr } | undefined {
  if (!firstShared(a.sourceRanges, b.sourceRanges)) return undefined;
  const left = firstShared(a.destinationRanges, b.destinationRanges);
  if (!left) return undefined;
  const source = common(a.sources, b.sources);
  const destination = common(a.destinations, b.destinations, left);
  return source === undefined || destination === undefined ? undefined : { source, destination };
}

/** The first source and destination that two selections share; undefined if they share none. `ignore` is never selected. */
export function sharedPair(
  a: Selection,
  b: Selection,
  ignore: readonly Cidr[] = [],
): { source: Cidr; destination: Cidr } | undefined {
  return shared(select(a, ignore), select(b, ignore));
}

/** The first network that is in one of `a` and one of `b` and, if given, has addresses of `within`. */
function common(a: readonly Named[], b: readonly Named[], within?: Range): Cidr | undefined {
  for (const one of a) {
    for (const two of b) {
      const inner = one.end - one.start <= two.end - two.start ? one : two;
      if (overlap(one, two) && (within === undefined || overlap(inner, within))) return inner.cidr;
    }
  }
  return undefined;
}

function overlap(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}

function wanted(selection: Selection): Cidr[] {
  return minimalCover(selection.destinations.length > 0 ? selection.destinations : ["0.0.0.0/0"]);
}

function named(cidr: Cidr): Named {
  return { ...rangeOf(cidr), cidr };
}
