import fc from "fast-check";
import { parseAddress } from "../../../provider/model/address";
import { firstMeeting, intersection, type Range, rangesOf, subtract } from "../../../provider/model/ranges";
import { smallCidrs, smallWorld } from "./arbitraries";
import { isInAny } from "./brute-force";

const has = (ranges: readonly Range[], address: string): boolean => {
  const n = parseAddress(address) ?? -1;
  return ranges.some(({ start, end }) => start <= n && n < end);
};

const apart = (ranges: readonly Range[]): boolean =>
  ranges.every(({ start, end }, i) => start < end && end < (ranges[i + 1]?.start ?? Number.POSITIVE_INFINITY));

test("ranges have the addresses of their networks and gaps between them", () => {
  fc.assert(
    fc.property(smallCidrs(0), (cidrs) => {
      const ranges = rangesOf(cidrs);
      expect(smallWorld.filter((a) => has(ranges, a))).toEqual(smallWorld.filter((a) => isInAny(a, cidrs)));
      expect(apart(ranges)).toBe(true);
    }),
  );
});

test("what is subtracted is gone and all else stays", () => {
  fc.assert(
    fc.property(smallCidrs(0), smallCidrs(0), (cidrs, excluded) => {
      const left = subtract(rangesOf(cidrs), rangesOf(excluded));
      const expected = smallWorld.filter((a) => isInAny(a, cidrs) && !isInAny(a, excluded));
      expect(smallWorld.filter((a) => has(left, a))).toEqual(expected);
      expect(apart(left)).toBe(true);
    }),
  );
});

test("the first ranges that meet share the lowest address that both lists have", () => {
  fc.assert(
    fc.property(smallCidrs(0), smallCidrs(0), (a, b) => {
      const inWorld = (cidrs: string[]): Range[] =>
        subtract(rangesOf(cidrs), [
          { start: 0, end: parseAddress("10.0.0.0") ?? 0 },
          { start: parseAddress("10.0.0.64") ?? 0, end: 2 ** 32 },
        ]);
      const lowest = smallWorld.find((address) => isInAny(address, a) && isInAny(address, b));
      const meeting = firstMeeting(inWorld(a), inWorld(b));
      expect(meeting && intersection(...meeting).start).toBe(lowest === undefined ? undefined : parseAddress(lowest));
    }),
  );
});
