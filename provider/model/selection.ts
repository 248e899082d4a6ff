import { type Cidr, contains, minimalCover, overlaps, sortCidrs } from "./address";

/** What a policy selects, before it becomes set members. */
export interface Selection {
  readonly sources: readonly Cidr[];
  readonly destinations: readonly Cidr[];
  readonly except: readonly Cidr[];
}

/** Destinations and exceptions so that the longest prefix decides right: an exception always wins over the destinations inside it. */
export function destinationMembers(selection: Selection): { match: Cidr[]; nomatch: Cidr[] } {
  const wanted = selection.destinations.length > 0 ? selection.destinations : ["0.0.0.0/0"];
  const nomatch = minimalCover(selection.except);
  const match = minimalCover(wanted)
    .flatMap((cidr) => (cidr === "0.0.0.0/0" ? ["0.0.0.0/1", "128.0.0.0/1"] : [cidr]))
    .filter((cidr) => !nomatch.some((exception) => contains(exception, cidr)));
  return { match: sortCidrs(match), nomatch: sortCidrs(nomatch.filter((exception) => match.some((cidr) => contains(cidr, exception)))) };
}

/** The first source and destination that two selections share; undefined if they share none. `ignore` is never selected. */
export function sharedPair(a: Selection, b: Selection, ignore: readonly Cidr[] = []): { source: Cidr; destination: Cidr } | undefined {
  for (const source of a.sources) {
    const other = b.sources.find((candidate) => overlaps(source, candidate));
    if (other === undefined) continue;
    const destination = sharedDestination(a, b, ignore);
    return destination === undefined ? undefined : { source: contains(source, other) ? other : source, destination };
  }
  return undefined;
}

function sharedDestination(a: Selection, b: Selection, ignore: readonly Cidr[]): Cidr | undefined {
  const excluded = [...a.except, ...b.except, ...ignore];
  const left = destinationMembers(a).match;
  const right = destinationMembers(b).match;
  for (const one of left) {
    for (const two of right) {
      if (!overlaps(one, two)) continue;
      const common = contains(one, two) ? two : one;
      if (subtractAll(common, excluded)) return common;
    }
  }
  return undefined;
}

/** True if something of `cidr` is left when `excluded` is taken away. */
function subtractAll(cidr: Cidr, excluded: readonly Cidr[]): boolean {
  const inside = minimalCover(excluded.filter((e) => overlaps(e, cidr)));
  if (inside.some((e) => contains(e, cidr))) return false;
  const length = (c: Cidr): number => Number(c.slice(c.indexOf("/") + 1));
  const taken = inside.reduce((sum, e) => sum + 2 ** (32 - length(e)), 0);
  return taken < 2 ** (32 - length(cidr));
}
