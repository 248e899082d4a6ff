import fc from "fast-check";
import { compileNode } from "../../../provider/compile/node";
import type { Claim } from "../../../provider/model/claim";
import { printState } from "../kernel/print-state";
import { situations } from "../reconcile/arbitrary";
import { FACTS, gatewayClaim, NODES, type NodeName, nodeClaim, policyClaim, type Situation } from "../reconcile/states";

const anySituation = fc.constantFrom(...(Object.keys(NODES) as NodeName[])).chain(situations);

/** The whole node with the owner of every object. */
const print = ({ claims, facts }: Situation): string => {
  const owned = compileNode(claims, facts);
  const owners = owned.map(({ object, owner }) => `${owner}: ${JSON.stringify(object)}`).sort();
  return printState(owned.map(({ object }) => object)) + owners.join("\n");
};

test("the order of the claims changes nothing", () => {
  const shuffled = anySituation.chain((situation) =>
    fc.record({
      situation: fc.constant(situation),
      claims: fc.shuffledSubarray([...situation.claims], { minLength: situation.claims.length }),
    }),
  );
  fc.assert(
    fc.property(shuffled, ({ situation, claims }) => {
      expect(print({ ...situation, claims })).toBe(print(situation));
    }),
  );
});

test("the order of the keys and of the networks in the claims changes nothing", () => {
  fc.assert(
    fc.property(anySituation, (situation) => {
      const claims = situation.claims.map((claim) => reversed(claim) as Claim);
      expect(print({ ...situation, claims })).toBe(print(situation));
    }),
  );
});

test("compile is a function: the same claims give the same objects in the same order", () => {
  fc.assert(
    fc.property(anySituation, ({ claims, facts }) => {
      expect(compileNode(claims, facts)).toEqual(compileNode(structuredClone(claims), structuredClone(facts)));
    }),
  );
});

/** The same value with its keys, and lists of text, the other way around. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed).reverse();
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, entry]) => [key, reversed(entry)] as const)
      .reverse(),
  );
}

test("a policy has more sources than a call takes arguments", () => {
  const sources = Array.from({ length: 150_000 }, (_, i) => `10.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`);
  const claims = [nodeClaim("client-1"), gatewayClaim({ datapath: "bpf" }), policyClaim("policy-1", { sources })];
  const kinds = compileNode(claims, FACTS).map(({ object }) => object.kind);
  expect(kinds.filter((kind) => kind === "ipset-member").length).toBeGreaterThan(300_000);
  expect(kinds.filter((kind) => kind === "bpf-entry").length).toBeGreaterThan(150_000);
});
