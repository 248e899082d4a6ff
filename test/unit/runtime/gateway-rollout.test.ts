import type { NodeRef } from "../../../provider/model/args";
import type { Claim, GatewayClaim } from "../../../provider/model/claim";
import { batchFor } from "../../../provider/runtime/batch";
import { growing } from "../../../provider/runtime/gateway-rollout";
import type { GatewayState } from "../../../provider/runtime/gateway-state";
import type { Wave } from "../../../provider/runtime/rollout";
import { gatewayClaim, nodeClaim } from "../reconcile/states";
import { nodes, seen } from "./snapshots";

const IP = "192.0.2.1";

/** What each node says of the gateway, and those that have the address. */
let claimed: Record<string, GatewayClaim> = {};
let there: readonly string[] = [];
const ADDRESS = {
  kind: "address",
  device: "eth0",
  address: IP,
  label: "eth0:egw",
} as const;
const mockSession = (name: string) => ({
  name,
  seen: seen({
    claims: [claimed[name]].filter((claim) => claim !== undefined),
    actual: there.includes(name) ? [ADDRESS] : [],
  }).snapshot,
});
jest.mock("../../../provider/runtime/context", () => ({
  session: (name: string) => mockSession(name),
  knownSessions: () => ["n1", "n2", "n3", "n4"].map((name) => mockSession(name)),
  configValue: () => undefined,
}));

const on = (node: string) => ({ [IP]: node });
const state = (node: string) =>
  ({
    gateways: nodes(2),
    egressIPs: [IP],
    placement: on(node),
    ownerId: "gateway-a",
    label: { project: "shop", stack: "prod", name: "gateway-a" },
  }) as unknown as GatewayState;
const says = (node: string, hold: readonly string[] = []): GatewayClaim =>
  gatewayClaim({ placement: on(node), hold: [...hold] });

/** Node, the addresses that it is to hold back, and those that nobody is asked for, one list a wave. */
const shown = (waves: readonly Wave[]) =>
  waves.map((wave) =>
    wave.map(({ session, change }) => [
      session.name,
      change.write.flatMap((claim: Claim) => (claim.kind === "gateway" ? claim.hold : [])),
      change.moved ?? [],
    ]),
  );

test.each<[string, Record<string, GatewayClaim>, readonly string[], string, ReturnType<typeof shown>]>([
  [
    "moves",
    { n1: says("n1"), n2: says("n1") },
    ["n1"],
    "n1",
    [[["n2", [IP], []]], [["n1", [], []]], [["n2", [], [IP]]]],
  ],
  [
    "was on its way in a run that was killed",
    { n1: says("n1"), n2: says("n2", [IP]) },
    ["n1"],
    "n2",
    [[["n2", [IP], []]], [["n1", [], []]], [["n2", [], [IP]]]],
  ],
  [
    "is in its place, whatever a node says that was away",
    { n1: says("n1"), n2: says("n2") },
    ["n1", "n2"],
    "n2",
    [[["n2", [], []]], [["n1", [], []]]],
  ],
  [
    "is lost where it is to be, and still on a node that was away",
    { n1: says("n1"), n2: says("n2") },
    ["n1"],
    "n2",
    [[["n2", [IP], []]], [["n1", [], []]], [["n2", [], [IP]]]],
  ],
])("an egress IP that %s", (_, nodesSay, nodesHave, before, waves) => {
  claimed = nodesSay;
  there = nodesHave;
  expect(shown(growing(state("n2"), state(before), []))).toEqual(waves);
});

test("others are asked for a new egress IP, unless a node of ours has just let go of it", () => {
  const node = nodeClaim("gateway-1");
  const held = gatewayClaim({ placement: on("gateway-1"), hold: [IP] });
  const { snapshot } = seen({ claims: [node, held] });
  if (!snapshot) throw new Error("no snapshot");
  const asks = (moved: readonly string[]) =>
    batchFor(snapshot, [node, { ...held, hold: [] }], moved).batch.steps.filter(({ tool }) => tool === "arping");
  expect(asks([]).map(({ input }) => input)).toEqual([[`eth0 ${IP}`]]);
  expect(asks([IP])).toEqual([]);
});

describe("answers", () => {
  const [one, two, three, four] = nodes(4) as [NodeRef, NodeRef, NodeRef, NodeRef];
  const answering = (answers: "cluster" | "tunnel", holder = "n1", clients = [three, four]): GatewayState => ({
    ...state(holder),
    gateways: [one, two],
    clients,
    answers,
  });
  const claimOn = (answers?: "cluster") => ({ ...says("n1"), ...(answers && { answers }) });
  const everywhere = (claim: GatewayClaim) => Object.fromEntries(["n1", "n2", "n3", "n4"].map((name) => [name, claim]));
  /** Node, who has the address by then, and by which way answers come, one list a wave. */
  const told = (waves: readonly Wave[]) =>
    waves.map((wave) =>
      wave.flatMap(({ session, change }) =>
        change.write.flatMap((claim: Claim) =>
          claim.kind === "gateway" ? `${session.name} ${claim.placement[IP]} ${claim.answers ?? "tunnel"}` : [],
        ),
      ),
    );

  beforeEach(() => {
    there = ["n1"];
  });

  test("clients let answers by the cluster in before the first gateway sends one", () => {
    claimed = everywhere(claimOn());
    expect(told(growing(answering("cluster"), answering("tunnel"), []))).toEqual([
      [],
      ["n3 n1 cluster", "n4 n1 cluster"],
      ["n1 n1 cluster", "n2 n1 cluster"],
    ]);
  });

  test("and until the last one has stopped", () => {
    claimed = everywhere(claimOn("cluster"));
    expect(told(growing(answering("tunnel"), answering("cluster"), []))).toEqual([
      [],
      ["n1 n1 tunnel", "n2 n1 tunnel"],
      ["n3 n1 tunnel", "n4 n1 tunnel"],
    ]);
  });

  test("also where a gateway that gains an address comes first: clients keep the placement that they have", () => {
    claimed = everywhere(claimOn());
    expect(told(growing(answering("cluster", "n2"), answering("tunnel"), []))).toEqual([
      ["n3 n1 cluster", "n4 n1 cluster"],
      ["n2 n2 cluster"],
      ["n3 n2 cluster", "n4 n2 cluster"],
      ["n1 n2 cluster"],
      ["n2 n2 cluster"],
    ]);
    claimed = everywhere(claimOn("cluster"));
    expect(told(growing(answering("tunnel", "n2"), answering("cluster"), []))).toEqual([
      ["n2 n2 tunnel"],
      ["n1 n2 tunnel"],
      ["n3 n2 tunnel", "n4 n2 tunnel"],
      ["n2 n2 tunnel"],
    ]);
  });

  test("a client that is new lets them in with its first policies", () => {
    const { n4: _, ...others } = everywhere(claimOn());
    claimed = others;
    expect(told(growing(answering("cluster", "n2"), answering("tunnel", "n1", [three]), [])).slice(0, 3)).toEqual([
      ["n3 n1 cluster"],
      ["n2 n2 cluster"],
      ["n3 n2 cluster", "n4 n2 cluster"],
    ]);
  });

  test("where they stay as they are, nobody waits", () => {
    claimed = everywhere(claimOn("cluster"));
    expect(told(growing(answering("cluster"), answering("cluster"), []))).toEqual([
      [],
      ["n1 n1 cluster", "n2 n1 cluster", "n3 n1 cluster", "n4 n1 cluster"],
    ]);
  });
});
