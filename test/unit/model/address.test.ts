import fc from "fast-check";
import {
  canonicalCidr,
  contains,
  formatAddress,
  formatNetwork,
  minimalCover,
  networkSize,
  nthAddress,
  overlaps,
  parseAddress,
  parseAddressRange,
  parseNetwork,
  sortCidrs,
} from "../../../provider/model/address";
import { address, cidr, smallCidr, smallCidrs, smallWorld } from "./arbitraries";
import { isIn, isInAny } from "./brute-force";

test("an address that is printed and parsed is the same address", () => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 32 - 1 }), (n) => parseAddress(formatAddress(n)) === n));
});

test("a network that is printed and parsed is the same network", () => {
  fc.assert(fc.property(cidr, (c) => formatNetwork(parseNetwork(c) ?? { base: -1, length: -1 }) === c));
});

test("the canonical form keeps the prefix and every canonical form stays as it is", () => {
  fc.assert(
    fc.property(address, fc.nat({ max: 32 }), (a, length) => {
      const canonical = canonicalCidr(`${a}/${length}`);
      expect(canonicalCidr(canonical)).toBe(canonical);
      expect(canonical.endsWith(`/${length}`) && isIn(a, canonical)).toBe(true);
    }),
  );
});

test.each([
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "0x1.2.3.4",
  "1.2.3.4 ",
  " 1.2.3.4",
  "1.2.3.-4",
  "1e1.2.3.4",
  "::1",
  "1.2.3.4\n",
])("%j is no address", (text) => expect(parseAddress(text)).toBeUndefined());

test.each([
  "1.2.3.4/",
  "1.2.3.4/33",
  "1.2.3.4/-1",
  "1.2.3.4/08",
  "1.2.3.4/8/8",
  "/8",
  "1.2.3.4/ 8",
  "1.2.3.4/1.0",
  "::/0",
  "10/8",
])("%j is no network", (text) => expect(parseNetwork(text)).toBeUndefined());

test("no text but a dotted address is taken for one", () => {
  fc.assert(
    fc.property(fc.string(), (text) => parseAddress(text) === undefined || /^(\d{1,3}\.){3}\d{1,3}$/.test(text)),
  );
});

test("contains means: every address of the inner network is in the outer one", () => {
  fc.assert(
    fc.property(smallCidr, smallCidr, (outer, inner) => {
      fc.pre(networkSize(inner) <= 64);
      const addresses = smallWorld.filter((a) => isIn(a, inner));
      expect(contains(outer, inner)).toBe(addresses.every((a) => isIn(a, outer)));
    }),
  );
});

test("overlaps means: some address is in both", () => {
  fc.assert(
    fc.property(smallCidr, smallCidr, (a, b) => {
      fc.pre(networkSize(a) <= 64);
      expect(overlaps(a, b)).toBe(smallWorld.some((x) => isIn(x, a) && isIn(x, b)));
      expect(overlaps(b, a)).toBe(overlaps(a, b));
    }),
  );
});

test("a minimal cover has the same addresses, is disjoint and sorted, and does not depend on the order", () => {
  fc.assert(
    fc.property(smallCidrs(0), (cidrs) => {
      const cover = minimalCover(cidrs);
      expect(smallWorld.filter((a) => isInAny(a, cover))).toEqual(smallWorld.filter((a) => isInAny(a, cidrs)));
      expect(cover.every((a, i) => cover.every((b, j) => i === j || !overlaps(a, b)))).toBe(true);
      expect(cover).toEqual(sortCidrs(cover));
      expect(minimalCover([...cidrs].reverse())).toEqual(cover);
      expect(minimalCover(cover)).toEqual(cover);
    }),
  );
});

test("networks with one address but different lengths are different", () => {
  expect(sortCidrs(["10.0.0.0/24", "10.0.0.0/8", "10.0.0.0/16"])).toEqual(["10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24"]);
});

test("sorting keeps every network once", () => {
  fc.assert(
    fc.property(smallCidrs(0), (cidrs) => expect(sortCidrs(cidrs).toSorted()).toEqual([...new Set(cidrs)].sort())),
  );
});

test("sorting is by address, then by length, and equal networks are there once", () => {
  expect(sortCidrs(["10.0.0.0/24", "9.0.0.0/8", "10.0.0.0/8", "100.0.0.0/8", "10.0.0.0/24"])).toEqual([
    "9.0.0.0/8",
    "10.0.0.0/8",
    "10.0.0.0/24",
    "100.0.0.0/8",
  ]);
});

test("a range has every address from its first to its last", () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 32 - 1024 }), fc.nat({ max: 1023 }), (from, more) => {
      const range = parseAddressRange(`${formatAddress(from)}-${formatAddress(from + more)}`);
      expect(range).toHaveLength(more + 1);
      expect(range?.every((a, i) => parseAddress(a) === from + i)).toBe(true);
    }),
  );
});

test.each([
  ["192.0.2.1", ["192.0.2.1"]],
  ["192.0.2.1 - 192.0.2.2", ["192.0.2.1", "192.0.2.2"]],
  ["192.0.2.255-192.0.3.0", ["192.0.2.255", "192.0.3.0"]],
  ["192.0.2.4/31", ["192.0.2.4", "192.0.2.5"]],
  ["255.255.255.254-255.255.255.255", ["255.255.255.254", "255.255.255.255"]],
])("%j is expanded", (text, addresses) => expect(parseAddressRange(text)).toEqual(addresses));

test.each([
  "",
  "-",
  "192.0.2.1-",
  "-192.0.2.1",
  "192.0.2.2-192.0.2.1",
  "192.0.2.1-2",
  "192.0.2.0/24-192.0.2.9",
  "192.0.2.1-192.0.2.2-192.0.2.3",
  "10.0.0.0/21",
  "10.0.0.0-10.0.4.0",
])("%j is no range of at most 1024 addresses", (text) => expect(parseAddressRange(text)).toBeUndefined());

test("the nth address is counted from the base", () => {
  expect(nthAddress("100.126.0.0/16", 16383)).toBe("100.126.63.255");
  expect(networkSize("100.126.0.0/18")).toBe(16384);
});
