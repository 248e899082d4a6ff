import type { Claim } from "../../../provider/model/claim";
import { batchFor, isEmpty } from "../../../provider/runtime/batch";
import { driftOf } from "../../../provider/runtime/drift";
import { NodeSession } from "../../../provider/runtime/session";
import { parseSnapshot } from "../../../provider/runtime/snapshot";
import { gatewayClaim, nodeClaim, peer, policyClaim } from "../reconcile/states";

/** What a node says whose claim files are these: id by which each is named → its text. */
const answerOf = (files: readonly (readonly [string, string])[], tables: object = {}, more: string[] = []): string =>
  [
    "@@node",
    JSON.stringify({ version: 1, tables, dropPolicies: [], restore: {} }),
    "@@claims",
    ...files.map(([id, text]) => `${id} ${text}`),
    ...more,
    "@@end",
    "",
  ].join("\n");

const fileOf = (claim: Claim) => [claim.owner.id, JSON.stringify(claim)] as const;
const answer = (claims: readonly Claim[], tables: object = {}): string => answerOf(claims.map(fileOf), tables);

const { sources, destinations, except, gateway } = policyClaim("policy-web");
const also = [{ sources, destinations, except, gateway, egressIP: "192.0.2.2" }];
const USUAL: readonly Claim[] = [nodeClaim("gateway-1"), gatewayClaim(), policyClaim("policy-web", { also })];
const client = { ...peer("client-1", false), underlay: "192.168.0.11 dev lo" };

test("claims that are as they were written are read", () => {
  const { claims, misread, isManifestWhole } = parseSnapshot(answer(USUAL));
  expect({ claims, misread, isManifestWhole }).toEqual({ claims: USUAL, misread: [], isManifestWhole: true });
});

test.each<[string, Claim]>([
  ["a device", nodeClaim("gateway-1", { uplink: "eth0 label x" })],
  ["an address", gatewayClaim({ nodes: { "client-1": client } })],
  ["a network", policyClaim("policy-web", { sources: ["10.0.1.11/32 nomatch"] })],
])("a claim on a node with more than %s in it counts as none", (_, changed) => {
  const rest = USUAL.filter(({ kind }) => kind !== changed.kind);
  const found = parseSnapshot(answer([changed, ...rest]));
  expect([found.claims, found.misread]).toEqual([rest, [changed.owner.id]]);
});

const NONE = { handshakes: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 };

/** The claim with something else in one place, for each place of it. */
function spoiled(value: unknown, other: unknown): unknown[] {
  if (typeof value !== "object" || value === null) return [other];
  const places: readonly [string, unknown][] = Object.entries(value);
  const inside = places.flatMap(([key, child]) =>
    spoiled(child, other).map((changed) =>
      Array.isArray(value) ? value.with(Number(key), changed) : { ...value, [key]: changed },
    ),
  );
  return [other, ...inside];
}

test.each(USUAL.map((claim) => [claim.kind, claim] as const))(
  "a claim of a %s with anything else in any place counts as none",
  (_, claim) => {
    for (const other of [null, { length: 1 }, [[]], -0.5]) {
      const all = spoiled(claim, other);
      expect(all.length).toBeGreaterThan(10);
      for (const one of all) {
        const text = JSON.stringify(one);
        const { claims, misread } = parseSnapshot(answerOf([[claim.owner.id, text]]));
        expect({ text, claims, misread }).toEqual({ text, claims: [], misread: [claim.owner.id] });
      }
    }
  },
);

test.each([
  ["cut off", JSON.stringify(USUAL[2]).slice(0, 40)],
  ["empty", ""],
  ["of another kind", '{"kind":"constructor"}'],
  ["another's", JSON.stringify(policyClaim("policy-other"))],
  ["two", `${JSON.stringify(USUAL[2])}${JSON.stringify(USUAL[2])}`],
])("a claim file that is %s is drift of the node and of its owner, and goes with the next batch", (_, text) => {
  const [node, gate, policy] = USUAL as [Claim, Claim, Claim];
  const found = parseSnapshot(answerOf([fileOf(node), fileOf(gate), ["policy-web", text]]));
  const snapshot = { ...found, files: parseSnapshot(answer([])).files };
  expect(snapshot.isManifestWhole).toBe(false);
  const line = "changed  file claims/policy-web.json";
  expect(driftOf(snapshot, node.owner.id, node)).toContain(line);
  expect(driftOf(snapshot, "policy-web", policy)).toContain("missing  manifest entry of this resource");
  expect(driftOf(snapshot, gate.owner.id, gate).join()).not.toContain("manifest");
  const { batch } = batchFor(snapshot, [node, gate]);
  expect(batch.claims).toEqual({ write: {}, remove: ["policy-web"] });
  expect(isEmpty({ ...batch, steps: [] }, snapshot)).toBe(false);
  expect(batchFor(snapshot, USUAL).batch.claims).toEqual({ write: Object.fromEntries([fileOf(policy)]), remove: [] });
});

test("what this run would write is held to the same", () => {
  const snapshot = parseSnapshot(answer([nodeClaim("gateway-1")]));
  expect(() => batchFor(snapshot, [nodeClaim("gateway-1"), gatewayClaim({ nodes: { "client-1": client } })])).toThrow(
    'claim gateway-a: "192.168.0.11 dev lo" is not an IPv4 address, so nothing is made of it',
  );
});

test("routing tables that are none are as good as lost", () => {
  expect(parseSnapshot(answer([], { 11: 3011 })).node?.tables).toEqual({ 11: 3011 });
  expect(parseSnapshot(answer([], { 11: "3011 proto 3" })).node?.tables).toEqual({});
});

test("a registry entry that is not as it was written is as good as lost", () => {
  const entry = { key: "mark-7", owner: "node-1", holder: 'shop/prod/"n1" (node ü)', content: "0x26000700" };
  const text = JSON.stringify(entry);
  const read = (...lines: string[]) =>
    parseSnapshot(answerOf([], {}, ["@@registry/lab", ...lines])).registry.get("lab");
  expect(read(`mark-7 ${text}`, 'mark-8 {"key":', "mark-9 null", "mark-10 ", `mark-11 ${text}`)).toEqual([entry]);
  expect(read(`mark-7 ${text}${text}`, 'mark-8 {"key":"mark-8","owner":1,"holder":"","content":""}')).toEqual([]);
});

describe("a node whose NodeMark's claim is not among those that are to be there", () => {
  const [node, gate, policy] = USUAL as [Claim, Claim, Claim];
  const lost =
    /^it is not enrolled, or its enrolment is lost, so nothing was changed\. Run pulumi up of the stack that has its NodeMark first\.$/;

  test("is emptied where it had nothing else", () => {
    expect(batchFor(parseSnapshot(answer([node])), []).batch.node).toBeUndefined();
    expect(batchFor(parseSnapshot(answer([])), []).batch.steps).toEqual([]);
  });

  test("is not while others use it, be they there only since it was last read", () => {
    expect(() => batchFor(parseSnapshot(answer(USUAL)), [gate, policy])).toThrow(
      /^still used by gateway \S+, policy \S+, so nothing was changed\. Remove these first\.$/,
    );
  });

  test("is not where that claim is lost", () => {
    const without = parseSnapshot(answer([gate, policy]));
    for (const claims of [[gate, policy], [gate]]) expect(() => batchFor(without, claims)).toThrow(lost);
    expect(() => batchFor(parseSnapshot(answer([])), [policy])).toThrow(lost);
    const { desired } = batchFor(parseSnapshot(answer(USUAL)), USUAL);
    const left = { ...parseSnapshot(answer([])), actual: desired.map(({ object }) => object) };
    expect(() => batchFor(left, [])).toThrow(lost);
    expect(() => batchFor(left, USUAL)).not.toThrow();
  });

  test("is read once more before others are refused", async () => {
    const refused = expect.stringMatching(/^node n1: still used by gateway shop\/prod\/gateway-a, policy shop/);
    const asks = async (...answers: string[]) => {
      const left = [...answers];
      const run = async () => ({ code: 0, stdout: left.shift() ?? "@@busy\n", stderr: "" });
      const here = new NodeSession("n1", { host: "192.0.2.1" }, { run, counters: () => NONE, close: async () => {} });
      await here.snapshot();
      const message = await here.apply({ write: [], remove: [node.owner.id] }).catch((error: Error) => error.message);
      return { message, asked: answers.length - left.length };
    };
    expect(await asks(answer(USUAL), answer(USUAL), "")).toEqual({ message: refused, asked: 2 });
    // The others are gone by now, so the batch goes out.
    const sent = expect.stringContaining("the batch gave no answer");
    expect(await asks(answer(USUAL), answer([node]), "")).toEqual({ message: sent, asked: 3 });
  });
});

test("a name with an end of line that is none for a shell is read as it is", () => {
  const claim = policyClaim("policy-web");
  const named = { ...claim, owner: { ...claim.owner, name: "x\u2028@@stale\u2028" } };
  const { claims, misread } = parseSnapshot(answer([named]));
  expect({ claims, misread }).toEqual({ claims: [named], misread: [] });
});
