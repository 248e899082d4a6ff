import fc from "fast-check";
import {
  type PolicyEntry,
  type PolicyRule,
  policyEntries,
  type SourceEntry,
} from "../../../provider/compile/bpf-policies";
import { GATEWAY_EXCLUDED, GATEWAY_NONE } from "../../../provider/kernel/bpf-layout";
import { contains, formatAddress, parseNetwork } from "../../../provider/model/address";

const lengthOf = (cidr: string): number => parseNetwork(cidr)?.length ?? 0;
const longestOf = <T>(entries: readonly T[], network: (entry: T) => string, address: string): T | undefined =>
  entries
    .filter((entry) => contains(network(entry), `${address}/32`))
    .sort((a, b) => lengthOf(network(b)) - lengthOf(network(a)))[0];

/** As `policy_of` in bpf/maps.h looks it up; undefined where nothing is selected. */
function lookedUp(
  { policies, sources }: { policies: readonly PolicyEntry[]; sources: readonly SourceEntry[] },
  source: string,
  destination: string,
): string | undefined {
  const of = (key: string | undefined) =>
    longestOf(
      policies.filter((one) => one.source === key),
      (one) => one.destination,
      destination,
    );
  const own = of(source);
  if (own && own.gateway !== GATEWAY_EXCLUDED) return `${own.egressIP} ${own.gateway}`;
  const wide = of(longestOf(sources, ({ network }) => network, source)?.class) ?? own;
  return wide && wide.gateway !== GATEWAY_EXCLUDED ? `${wide.egressIP} ${wide.gateway}` : undefined;
}

/** As the sets and rules have it. */
function selected(rules: readonly PolicyRule[], never: readonly string[], source: string, destination: string) {
  if (never.some((one) => contains(one, `${destination}/32`))) return undefined;
  const found = rules.find(({ sources, match, nomatch }) => {
    if (!sources.some((one) => contains(one, `${source}/32`))) return false;
    const members = [...match.map((cidr) => ({ cidr, is: true })), ...nomatch.map((cidr) => ({ cidr, is: false }))];
    // Of equal ones an exception counts: there is one element of each network in a set.
    const [first] = members
      .filter(({ cidr }) => contains(cidr, `${destination}/32`))
      .sort((a, b) => lengthOf(b.cidr) - lengthOf(a.cidr) || Number(a.is) - Number(b.is));
    return first?.is === true;
  });
  return found && found.gateway !== GATEWAY_EXCLUDED ? `${found.egressIP} ${found.gateway}` : undefined;
}

const networks = (base: number) =>
  fc.record({ at: fc.nat(15), length: fc.integer({ min: 28, max: 32 }) }).map(({ at, length }) => {
    const start = base + at - (at % 2 ** (32 - length));
    return `${formatAddress(start)}/${length}`;
  });
const [PODS, OUTSIDE] = [0x0a000100, 0xcb007100];
const way = fc.oneof(
  fc.record({
    egressIP: fc.constantFrom("192.0.2.1", "192.0.2.2", "192.0.2.3"),
    gateway: fc.constantFrom("192.168.0.101", "192.168.0.102", GATEWAY_NONE),
  }),
  // One that is left to the stack.
  fc.constant({ egressIP: "0.0.0.0", gateway: GATEWAY_EXCLUDED }),
);
const selection = fc.record({
  sources: fc.uniqueArray(networks(PODS), { minLength: 1, maxLength: 4 }),
  match: fc.uniqueArray(fc.oneof(networks(OUTSIDE), fc.constant("0.0.0.0/0")), { minLength: 1, maxLength: 3 }),
  nomatch: fc.uniqueArray(networks(OUTSIDE), { maxLength: 3 }),
});
const rule: fc.Arbitrary<Omit<PolicyRule, "id" | "owner">> = fc
  .tuple(selection, way)
  .map(([selects, leads]) => ({ ...selects, ...leads }));

test("the maps select what the policies select, for every source and destination", () => {
  const never = fc.uniqueArray(networks(OUTSIDE), { maxLength: 2 });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 4 }), never, (found, outside) => {
      const rules = found.map((one, i) => ({ ...one, id: `rule-${i}`, owner: `policy-${i}` }));
      const entries = policyEntries(rules, outside);
      for (let i = 0; i < 16; i++)
        for (let j = 0; j < 16; j++) {
          const [source, destination] = [formatAddress(PODS + i), formatAddress(OUTSIDE + j)];
          const shown = { source, destination, is: lookedUp(entries, source, destination) };
          expect(shown).toEqual({ source, destination, is: selected(rules, outside, source, destination) });
        }
    }),
    { numRuns: 150 },
  );
});

test("the seed's policy is one entry for each pod, and a wide source one class", () => {
  const policy = (sources: readonly string[]): PolicyRule => ({
    id: "policy-1",
    owner: "policy-1",
    sources,
    match: ["172.18.0.0/16"],
    nomatch: ["172.18.1.0/24"],
    egressIP: "172.18.0.5",
    gateway: "192.168.0.101",
  });
  const owner = "policy-1";
  const entry = { owner, egressIP: "172.18.0.5", gateway: "192.168.0.101", destination: "172.18.0.0/16" };
  const excluded = { owner, egressIP: "0.0.0.0", gateway: GATEWAY_EXCLUDED, destination: "172.18.1.0/24" };
  expect(policyEntries([policy(["10.0.0.174/32", "10.0.2.86/32"])], [])).toEqual({
    policies: ["10.0.0.174", "10.0.2.86"].flatMap((source) => [entry, excluded].map((one) => ({ source, ...one }))),
    sources: [],
  });
  const { policies, sources } = policyEntries([policy(["10.0.0.0/16", "10.1.0.0/16"])], []);
  expect(sources.map(({ network }) => network)).toEqual(["10.0.0.0/16", "10.1.0.0/16"]);
  expect(new Set(sources.map((one) => one.class)).size).toBe(1);
  expect(policies).toEqual([entry, excluded].map((one) => ({ source: sources[0]?.class, ...one })));
  expect(contains("0.0.0.0/8", `${sources[0]?.class}/32`)).toBe(true);
});

test("an address that is left to the stack is so inside of a wide source too, and costs one source", () => {
  const policy = (id: string, source: string, destination: string, gateway: string): PolicyRule => ({
    id,
    owner: id,
    sources: [source],
    match: [destination],
    nomatch: [],
    egressIP: gateway === GATEWAY_EXCLUDED ? "0.0.0.0" : "192.0.2.1",
    gateway,
  });
  const wide = policy("wide", "10.0.1.0/24", "0.0.0.0/0", "192.168.0.101");
  const left = policy("left", "10.0.1.5/32", "203.0.113.0/24", GATEWAY_EXCLUDED);
  const found = policyEntries([left, wide], []);
  const at = (source: string, destination: string) => lookedUp(found, source, destination);
  expect(at("10.0.1.5", "203.0.113.9")).toBeUndefined();
  expect(at("10.0.1.5", "198.51.100.9")).toBe("192.0.2.1 192.168.0.101");
  expect(at("10.0.1.6", "203.0.113.9")).toBe("192.0.2.1 192.168.0.101");
  expect(found.sources.map(({ network }) => network).sort()).toEqual(["10.0.1.0/24", "10.0.1.5/32"]);
  // Inside of what is left to the stack too it costs nothing.
  const leftAround = policy("around", "10.0.1.0/24", "203.0.113.0/24", GATEWAY_EXCLUDED);
  expect(policyEntries([left, leftAround], []).sources.map(({ network }) => network)).toEqual(["10.0.1.0/24"]);
});

test("each entry is told to one of the policies", () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 4 }), (found) => {
      const rules = found.map((one, i) => ({ ...one, id: `rule-${i}`, owner: `policy-${i}` }));
      const { policies, sources } = policyEntries(rules, []);
      const owners = new Set(rules.map(({ owner }) => owner));
      for (const { owner } of [...policies, ...sources]) expect(owners).toContain(owner);
    }),
    { numRuns: 100 },
  );
});

test("a hundred thousand pods of one policy are made quickly, and as many entries", () => {
  const sources = Array.from({ length: 100_000 }, (_, i) => `${formatAddress(0x0a000000 + i)}/32`);
  const rule = {
    id: "policy-1",
    owner: "policy-1",
    sources,
    match: ["0.0.0.0/0"],
    nomatch: [],
    egressIP: "192.0.2.1",
    gateway: "192.168.0.101",
  };
  expect(policyEntries([rule], ["10.0.0.0/8"]).policies).toHaveLength(200_000);
});

test("another policy changes no class but those of the sources that it selects", () => {
  const policy = (id: string, source: string): PolicyRule => ({
    id,
    owner: id,
    sources: [source],
    match: ["203.0.113.0/24"],
    nomatch: [],
    egressIP: "192.0.2.1",
    gateway: "192.168.0.101",
  });
  const rules = [policy("policy-b", "10.0.0.0/24"), policy("policy-c", "10.0.1.0/24")];
  const before = policyEntries(rules, []).sources;
  const after = policyEntries([policy("policy-a", "10.0.1.0/24"), ...rules], []).sources;
  const classIn = (sources: readonly SourceEntry[], network: string) =>
    sources.find((one) => one.network === network)?.class;
  expect(classIn(after, "10.0.0.0/24")).toBe(classIn(before, "10.0.0.0/24"));
  expect(classIn(after, "10.0.1.0/24")).not.toBe(classIn(before, "10.0.1.0/24"));
});
