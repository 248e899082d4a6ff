import fc from "fast-check";
import { contains } from "../../../provider/model/address";
import { destinationMembers, type Selection, select, shared } from "../../../provider/model/selection";
import { address, cidr, smallCidrs, smallWorld } from "./arbitraries";
import { isIn, isInAny, longestMatch } from "./brute-force";

const selection: fc.Arbitrary<Selection> = fc.record({
  sources: smallCidrs(1),
  destinations: smallCidrs(0),
  except: smallCidrs(0),
});

/** What two selections share, by what overlaps are judged by. */
const sharedPair = (a: Selection, b: Selection, ignore: readonly string[] = []) =>
  shared(select(a, ignore), select(b, ignore));

const isWanted = (a: string, { destinations, except }: Selection): boolean =>
  (destinations.length === 0 || isInAny(a, destinations)) && !isInAny(a, except);

/** What a hash:net set decides: the longest prefix wins. */
const isMember = (a: string, { match, nomatch }: { match: string[]; nomatch: string[] }): boolean => {
  const longest = longestMatch(a, [...match, ...nomatch]);
  return longest !== undefined && match.includes(longest);
};

test("the longest prefix among the members decides as the selection says", () => {
  fc.assert(
    fc.property(selection, (s) => {
      const members = destinationMembers(s);
      expect(smallWorld.filter((a) => isMember(a, members))).toEqual(smallWorld.filter((a) => isWanted(a, s)));
    }),
    { numRuns: 500 },
  );
});

test("the same holds for any networks and any address", () => {
  const cidrs = fc.array(cidr, { maxLength: 5 });
  fc.assert(
    fc.property(
      cidrs,
      cidrs,
      fc.array(address, { minLength: 20, maxLength: 20 }),
      (destinations, except, addresses) => {
        const s = { sources: [], destinations, except };
        const members = destinationMembers(s);
        for (const a of addresses) expect(isMember(a, members)).toBe(isWanted(a, s));
      },
    ),
  );
});

test("no member is 0.0.0.0/0, which a hash:net set refuses, and none is a match and an exception", () => {
  fc.assert(
    fc.property(selection, (s) => {
      const { match, nomatch } = destinationMembers(s);
      expect([...match, ...nomatch]).not.toContain("0.0.0.0/0");
      expect(match.filter((c) => nomatch.includes(c))).toEqual([]);
    }),
  );
});

test("members do not depend on the order of the inputs", () => {
  fc.assert(
    fc.property(selection, (s) => {
      const reversed = { ...s, destinations: [...s.destinations].reverse(), except: [...s.except].reverse() };
      expect(destinationMembers(reversed)).toEqual(destinationMembers(s));
    }),
  );
});

test("two selections share a pair exactly if some source and some destination are selected by both", () => {
  fc.assert(
    fc.property(selection, selection, smallCidrs(0), (a, b, ignore) => {
      const inside = { ...a, sources: small(a.sources), destinations: small(a.destinations) };
      fc.pre(inside.sources.length > 0 && inside.destinations.length > 0);
      const source = smallWorld.some((x) => isInAny(x, inside.sources) && isInAny(x, b.sources));
      const destination = smallWorld.some((x) => isWanted(x, inside) && isWanted(x, b) && !isInAny(x, ignore));
      const pair = sharedPair(inside, b, ignore);
      expect(pair !== undefined).toBe(source && destination);
      expect(sharedPair(b, inside, ignore)).toEqual(pair);
      if (pair === undefined) return;
      // Named in the words of one of them, and really common to both.
      expect(
        inside.sources.some((c) => contains(c, pair.source)) && b.sources.some((c) => contains(c, pair.source)),
      ).toBe(true);
      const named = (cidrs: readonly string[]): boolean => cidrs.some((c) => contains(c, pair.destination));
      expect(named(inside.destinations) && (b.destinations.length === 0 || named(b.destinations))).toBe(true);
      expect(
        smallWorld.some(
          (x) => isIn(x, pair.destination) && isWanted(x, inside) && isWanted(x, b) && !isInAny(x, ignore),
        ),
      ).toBe(true);
    }),
    { numRuns: 500 },
  );
});

const small = (cidrs: readonly string[]): string[] => cidrs.filter((c) => contains("10.0.0.0/26", c));

test("a shared pair is named in the words of the user", () => {
  const a = { sources: ["10.0.0.0/16"], destinations: [], except: ["10.0.0.0/8"] };
  const b = { sources: ["10.0.7.0/24"], destinations: ["203.0.113.0/24"], except: [] };
  expect(sharedPair(a, b)).toEqual({ source: "10.0.7.0/24", destination: "203.0.113.0/24" });
  expect(sharedPair(a, { ...a, sources: ["10.0.7.7/32"] })).toEqual({
    source: "10.0.7.7/32",
    destination: "0.0.0.0/0",
  });
  expect(sharedPair(a, b, ["203.0.113.0/25", "203.0.113.128/25"])).toBeUndefined();
});
