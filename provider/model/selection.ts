import { type Cidr, contains, minimalCover, sortCidrs } from "./address";
import {
  firstMeeting,
  intersection,
  meet,
  type NetworkRange,
  outermost,
  type Range,
  rangesOf,
  subtract,
} from "./ranges";

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

/** A selection as ranges of addresses, so that thousands are compared fast. */
export interface Selected {
  readonly sources: readonly NetworkRange[];
  readonly destinations: readonly NetworkRange[];
  /** The destinations without exceptions and ignored networks. */
  readonly left: readonly Range[];
}

/** What a selection selects. `ignore` is never selected. */
export function select(selection: Selection, ignore: readonly Cidr[] = []): Selected {
  const destinations = selection.destinations.length > 0 ? selection.destinations : ["0.0.0.0/0"];
  return {
    sources: outermost(selection.sources),
    destinations: outermost(destinations),
    left: subtract(rangesOf(destinations), rangesOf([...selection.except, ...ignore])),
  };
}

/** The first source and destination that two share, in the words of the user; undefined if they share none. */
export function shared(a: Selected, b: Selected): { source: Cidr; destination: Cidr } | undefined {
  const sources = firstMeeting(a.sources, b.sources);
  const left = sources && firstMeeting(a.left, b.left);
  const destination = left && common(a.destinations, b.destinations, intersection(...left));
  if (!sources || !destination) return undefined;
  return { source: inner(...sources).cidr, destination: destination.cidr };
}

/** The first network that is in one of `a` and in one of `b` and has addresses of `within`. */
function common(a: readonly NetworkRange[], b: readonly NetworkRange[], within: Range): NetworkRange | undefined {
  for (const one of a) {
    for (const two of b) {
      if (meet(one, two) && meet(inner(one, two), within)) return inner(one, two);
    }
  }
  return undefined;
}

/** Of two networks that share an address, the one inside the other. */
function inner(a: NetworkRange, b: NetworkRange): NetworkRange {
  return a.end - a.start <= b.end - b.start ? a : b;
}

function wanted(selection: Selection): Cidr[] {
  return minimalCover(selection.destinations.length > 0 ? selection.destinations : ["0.0.0.0/0"]);
}
