import { LAYOUT_VERSION } from "../../../provider/kernel/bpf-layout";
import type { Claim } from "../../../provider/model/claim";
import { Random } from "../../scenarios/random";
import { type Case, casesFrom, kindNamesOf } from "../../scenarios/tamper";
import { areApart, areWhole, oneOfEachWay } from "../../scenarios/tamper/groups";
import { FACTS, gatewayClaim, NODES, type NodeName, nodeClaim, policyClaim } from "../reconcile/states";

/** What the scenario of tampering has on its nodes. */
const policies: readonly Claim[] = [
  policyClaim("first", { sources: ["10.0.1.11/32", "10.0.3.11/32", "10.0.4.11/32"], destinations: [] }),
  policyClaim("second", {
    sources: ["10.0.2.11/32"],
    destinations: ["203.0.113.0/24"],
    except: ["203.0.113.128/25"],
    egressIP: "192.0.2.2",
  }),
];
const casesWith = (gateway: Claim): Case[] =>
  casesFrom(
    (Object.keys(NODES) as NodeName[]).map((node) => ({
      node,
      role: node.startsWith("gateway") ? "gateway" : "client",
      claims: [nodeClaim(node), gateway, ...policies],
      facts: FACTS,
    })),
  );
const cases = casesWith(gatewayClaim());
const withPrograms = casesWith(gatewayClaim({ datapath: "bpf" }));

/** Of 20,000 random groups of three. */
function shareOf(isLeftOut: (group: readonly Case[]) => boolean): number {
  const random = new Random(1);
  const groups = Array.from({ length: 20_000 }, () => [random.pick(cases), random.pick(cases), random.pick(cases)]);
  return groups.filter(isLeftOut).length / groups.length;
}

/** The first case of a node whose title has these words. */
function caseOf(node: NodeName, how: Case["how"], words: string): Case {
  const found = cases.find((one) => one.node === node && one.how === how && `${one.kind} ${one.what}`.includes(words));
  if (!found) throw new Error(`no ${how} ${words} on ${node}`);
  return found;
}

test("of random groups of three, fewer than one in fifty take a whole line of defence", () => {
  expect(shareOf(areWhole)).toBeLessThan(0.02);
});

test("of random groups of three, fewer than one in thirty can't be done at once", () => {
  expect(shareOf((group) => !areApart(group))).toBeLessThan(1 / 30);
});

test("nothing that is done to one object takes a whole line of defence", () => {
  expect(cases.filter((one) => areWhole([one]))).toEqual([]);
});

test("each kind is tampered with in each way that it can be", () => {
  const ways = oneOfEachWay(cases, new Random(1)).map(({ kind, how }) => `${kind} ${how}`);
  expect(ways).toHaveLength(33);
  expect(ways).toEqual(
    expect.arrayContaining(["link missing", "sysctl changed", "hook extra", "chain-rule reordered"]),
  );
});

test("each kind of a fleet with programs is tampered with in each way that it can be", () => {
  const ways = oneOfEachWay(withPrograms, new Random(1)).map(({ kind, how }) => `${kind} ${how}`);
  expect([...new Set(withPrograms.map(({ kind }) => kind))].sort()).toEqual([...kindNamesOf(true)].sort());
  expect(ways).toHaveLength(46);
  expect(ways).toEqual(expect.arrayContaining(["bpf-map missing", "bpf-entry extra", "tc-filter foreign"]));
  expect(withPrograms.filter((one) => areWhole([one]))).toEqual([]);
});

test("a map that is unpinned tells of its entries and of all programs that use it, a tunnel that is gone of its filters", () => {
  const toldOf = (kind: string, what: string) =>
    withPrograms
      .find((one) => one.node === "client-1" && one.how === "missing" && one.kind === kind && one.what === what)
      ?.told.map(({ line }) => line.replace(/[0-9a-f]{10}/, "#"));
  expect(toldOf("bpf-map", "egw_peers")).toEqual([
    "missing  bpf-map egw_peers version # hash key 4 value 8 entries 16384 flags 0".replace(
      "#",
      String(LAYOUT_VERSION),
    ),
    "missing  bpf-entry egw_peers 192.168.0.101: 66:26:00:00:00:65",
    "missing  bpf-entry egw_peers 192.168.0.102: 66:26:00:00:00:66",
    expect.stringMatching(/^changed {2}bpf-program client # for egw.vxlan eth0: .* is .*: from_gateway! from_pod! /),
  ]);
  expect(toldOf("link", "egw.vxlan")).toEqual(
    expect.arrayContaining([
      "missing  tc-filter egw.vxlan egress to_tunnel of client #",
      expect.stringMatching(/^changed {2}bpf-program client # for egw.vxlan eth0: .* is .* for \? eth0: /),
    ]),
  );
});

const client = (how: Case["how"], words: string) => caseOf("client-1", how, words);
const gateway = (how: Case["how"], words: string) => caseOf("gateway-1", how, words);

test.each<[string, readonly Case[]]>([
  [
    "a chosen source and a guarded one",
    [client("missing", "ipset-member egw-s-"), client("missing", "ipset-member egw-gs-")],
  ],
  [
    "what is ignored and what guards",
    [client("extra", "ipset-member egw-ignore"), client("missing", "ipset-member egw-gs-")],
  ],
  [
    "the hook that chooses and the one that guards",
    [client("missing", "hook nat PREROUTING"), client("missing", "hook mangle FORWARD")],
  ],
  [
    "both translations",
    [
      gateway("missing", "hook nat POSTROUTING -j EGRESSGATEWAY-SNAT-EIP"),
      gateway("missing", "chain nat EGRESSGATEWAY-SNAT-BACKUP"),
    ],
  ],
  [
    "the path and both hooks behind it",
    [
      client("missing", "ip-rule"),
      client("missing", "hook mangle FORWARD"),
      client("missing", "hook mangle POSTROUTING"),
    ],
  ],
  [
    "the mark of the tunnel on one node and both refusals on another",
    [
      client("missing", "hook nat POSTROUTING -j EGRESSGATEWAY-NO-SNAT"),
      gateway("missing", "chain mangle EGRESSGATEWAY-ADMIT"),
      gateway("missing", "hook mangle FORWARD"),
    ],
  ],
])("%s are a whole line", (_, group) => {
  expect(areWhole(group)).toBe(true);
  for (const one of group) expect(areWhole(group.filter((other) => other !== one))).toBe(false);
});

test.each<[string, readonly Case[]]>([
  ["the path and the hook behind it", [client("missing", "ip-rule"), client("missing", "hook mangle FORWARD")]],
  ["halves of two policies", [client("missing", "ipset egw-s-"), client("missing", `ipset ${otherGuard()}`)]],
  ["halves on two nodes", [client("missing", "hook nat PREROUTING"), gateway("missing", "hook mangle FORWARD")]],
])("%s are not", (_, group) => {
  expect(areWhole(group)).toBe(false);
});

/** The guarding set of another policy than that of the first choosing set. */
function otherGuard(): string {
  const hash = client("missing", "ipset egw-s-").what.slice("egw-s-".length);
  const other = cases.find(({ what }) => /^egw-gs-[0-9a-f]+$/.test(what) && !what.endsWith(hash));
  return other?.what ?? "";
}
