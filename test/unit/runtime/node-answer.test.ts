import { batchFor } from "../../../provider/runtime/batch";
import { parseSnapshot } from "../../../provider/runtime/snapshot";
import { gatewayClaim, nodeClaim, peer, policyClaim } from "../reconcile/states";

const answer = (claims: readonly object[], tables: object = {}): string =>
  [
    "@@node",
    JSON.stringify({ version: 1, tables, dropPolicies: [], restore: {} }),
    "@@claims",
    ...claims.map((claim) => JSON.stringify(claim)),
    "@@end",
    "",
  ].join("\n");

const client = { ...peer("client-1", false), underlay: "192.168.0.11 dev lo" };

test("a claim on a node that is more than numbers, addresses and names is refused, the claim named", () => {
  const usual = [nodeClaim("gateway-1"), gatewayClaim(), policyClaim("web")];
  expect(parseSnapshot(answer(usual)).claims).toEqual(usual);
  for (const changed of [
    nodeClaim("gateway-1", { uplink: "eth0 label x" }),
    gatewayClaim({ nodes: { "client-1": client } }),
    policyClaim("web", { sources: ["10.0.1.11/32 nomatch"] }),
  ]) {
    const { kind, owner } = changed;
    const claims = usual.map((claim) => (claim.kind === kind ? changed : claim));
    expect(() => parseSnapshot(answer(claims))).toThrow(`claim ${owner.id}: "`);
  }
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
