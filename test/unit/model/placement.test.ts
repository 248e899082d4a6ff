import fc from "fast-check";
import { placeAddresses } from "../../../provider/model/placement";

const NODES = ["gw-1", "gw-2", "gw-3", "gw-4", "gw-5"];
const ips = fc.integer({ min: 1, max: 40 }).map((n) => Array.from({ length: n }, (_, i) => `192.0.2.${i + 1}`));
const nodes = fc.subarray(NODES, { minLength: 1 });
const placement = fc.dictionary(
  fc.nat({ max: 45 }).map((n) => `192.0.2.${n + 1}`),
  fc.constantFrom(...NODES),
);

const loads = (placed: Record<string, string>, names: readonly string[]): number[] =>
  names.map((name) => Object.values(placed).filter((node) => node === name).length);

test("every address has one of the nodes, and no other address has any", () => {
  fc.assert(
    fc.property(ips, nodes, placement, (addresses, names, held) => {
      const placed = placeAddresses(addresses, names, {}, held);
      expect(Object.keys(placed)).toEqual(addresses);
      expect(Object.values(placed).every((node) => names.includes(node))).toBe(true);
    }),
  );
});

test("the order of the nodes does not matter", () => {
  fc.assert(
    fc.property(ips, nodes, placement, (addresses, names, held) => {
      expect(placeAddresses(addresses, [...names].reverse(), {}, held)).toEqual(
        placeAddresses(addresses, names, {}, held),
      );
    }),
  );
});

test("a first placement is even", () => {
  fc.assert(
    fc.property(ips, nodes, (addresses, names) => {
      const counts = loads(placeAddresses(addresses, names, {}, {}), names);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
  );
});

test("a node that goes moves its own addresses only", () => {
  fc.assert(
    fc.property(ips, fc.subarray(NODES, { minLength: 2 }), (addresses, names) => {
      const [gone, ...rest] = names;
      const before = placeAddresses(addresses, names, {}, {});
      const after = placeAddresses(addresses, rest, {}, before);
      for (const ip of addresses) if (before[ip] !== gone) expect(after[ip]).toBe(before[ip]);
    }),
  );
});

test("a node that comes moves none", () => {
  fc.assert(
    fc.property(ips, nodes, (addresses, names) => {
      const before = placeAddresses(addresses, names, {}, {});
      expect(placeAddresses(addresses, NODES, {}, before)).toEqual(before);
    }),
  );
});

test("addresses that come move none, and go to the nodes with the fewest", () => {
  const held = { "192.0.2.1": "gw-1", "192.0.2.2": "gw-1", "192.0.2.3": "gw-2" };
  const addresses = ["192.0.2.9", "192.0.2.1", "192.0.2.2", "192.0.2.3"];
  expect(placeAddresses(addresses, ["gw-1", "gw-2"], {}, held)).toEqual({ ...held, "192.0.2.9": "gw-2" });
});

test("a fixed address is where it is fixed to, wherever it was held", () => {
  fc.assert(
    fc.property(ips, nodes, placement, placement, (addresses, names, wanted, held) => {
      const fixed = Object.fromEntries(Object.entries(wanted).filter(([, node]) => names.includes(node)));
      const placed = placeAddresses(addresses, names, fixed, held);
      for (const ip of addresses) {
        if (fixed[ip] !== undefined) expect(placed[ip]).toBe(fixed[ip]);
        else if (names.includes(held[ip] ?? "")) expect(placed[ip]).toBe(held[ip]);
      }
    }),
  );
});

test("equal nodes do not all get the same first address", () => {
  const holders = Array.from(
    { length: 50 },
    (_, i) => Object.values(placeAddresses([`192.0.2.${i}`], NODES, {}, {}))[0],
  );
  expect(new Set(holders)).toEqual(new Set(NODES));
});

test("an address fixed to a node that is none is refused", () => {
  expect(() => placeAddresses(["192.0.2.1"], ["gw-1"], { "192.0.2.1": "gw-9" }, {})).toThrow(
    "192.0.2.1 is fixed to gw-9, which is no gateway node",
  );
});
