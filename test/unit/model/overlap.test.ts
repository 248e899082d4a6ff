import fc from "fast-check";
import { findOverlapsWith, type NamedPolicy } from "../../../provider/model/overlap";
import { select, shared } from "../../../provider/model/selection";
import { smallCidrs } from "./arbitraries";

const policy = (label: string, more: Partial<NamedPolicy>): NamedPolicy => ({
  label,
  gateway: "gateway-id",
  sources: ["10.0.1.0/24"],
  destinations: [],
  except: [],
  ignore: [],
  egressIP: "192.0.2.1",
  ...more,
});

const policies: fc.Arbitrary<NamedPolicy[]> = fc
  .array(
    fc.record({
      gateway: fc.constantFrom("gateway-a", "gateway-b"),
      egressIP: fc.constantFrom("192.0.2.1", "192.0.2.2"),
      sources: smallCidrs(1),
      destinations: smallCidrs(0),
      except: smallCidrs(0),
      ignore: smallCidrs(0),
    }),
    { maxLength: 8 },
  )
  .map((all) => all.map((p, i) => ({ ...p, label: `p${i}` })));

/** Each policy with all others. */
const eachWithOthers = (all: readonly NamedPolicy[]): [NamedPolicy, NamedPolicy[]][] =>
  all.map((one) => [one, all.filter((other) => other !== one)]);

test("every pair of policies that gives one packet two egress IPs is found by either of them, and no other", () => {
  fc.assert(
    fc.property(policies, (all) => {
      for (const [one, others] of eachWithOthers(all)) {
        const expected = others.flatMap((other) => {
          if (one.gateway === other.gateway && one.egressIP === other.egressIP) return [];
          const ignore = [...one.ignore, ...other.ignore];
          const pair = shared(select(one, ignore), select(other, ignore));
          return pair ? [{ labels: [one.label, other.label].sort(), ...pair }] : [];
        });
        expect(findOverlapsWith(one, others)).toEqual(expected);
      }
    }),
  );
});

test("neither the order of the others matters nor which of two is asked", () => {
  fc.assert(
    fc.property(policies, (all) => {
      for (const [one, others] of eachWithOthers(all)) {
        const found = findOverlapsWith(one, others);
        expect(findOverlapsWith(one, [...others].reverse())).toEqual(found);
        expect(others.flatMap((other) => findOverlapsWith(other, [one]))).toEqual(found);
      }
    }),
  );
});

test("both labels and what is shared are named", () => {
  const b = policy("b", { sources: ["10.0.0.0/16"] });
  const a = policy("a", { destinations: ["203.0.113.0/24"], egressIP: "192.0.2.2" });
  const overlap = { labels: ["a", "b"], source: "10.0.1.0/24", destination: "203.0.113.0/24" };
  expect(findOverlapsWith(b, [a])).toEqual([overlap]);
});

test.each<[string, Partial<NamedPolicy>]>([
  ["the same egress IP of the same gateway", {}],
  ["other sources", { egressIP: "192.0.2.2", sources: ["10.0.2.0/24"] }],
  ["destinations that the other excepts", { egressIP: "192.0.2.2", destinations: ["203.0.113.0/24"] }],
  ["destinations that the other's gateway ignores", { egressIP: "192.0.2.2", destinations: ["198.51.100.7/32"] }],
  ["nothing left", { egressIP: "192.0.2.2", ignore: ["0.0.0.0/1", "128.0.0.0/1"] }],
])("%s: no overlap", (_, more) => {
  const a = policy("a", { except: ["203.0.113.0/25", "203.0.113.128/25"], ignore: ["198.51.100.0/24"] });
  expect(findOverlapsWith(a, [policy("b", more)])).toEqual([]);
});

test("the same egress IP by two gateways is an overlap", () => {
  expect(findOverlapsWith(policy("a", {}), [policy("b", { gateway: "other-id" })])).toHaveLength(1);
});

test("a thousand policies with fifty sources each are compared pair by pair", () => {
  const many = Array.from({ length: 1000 }, (_, i) =>
    policy(`p${i}`, {
      egressIP: `192.0.2.${i % 200}`,
      // Scattered, so that the hulls of all policies overlap.
      sources: Array.from({ length: 50 }, (_, j) => `10.${j}.${i >> 8}.${i & 255}/32`),
      ignore: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
    }),
  );
  expect(many.flatMap((one, i) => findOverlapsWith(one, many.slice(i + 1)))).toEqual([]);
  const last = policy("z", { sources: ["10.49.3.231/32"], egressIP: "198.51.100.1" });
  expect(findOverlapsWith(last, many).map(({ labels }) => labels)).toEqual([["p999", "z"]]);
});
