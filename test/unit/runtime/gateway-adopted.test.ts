import type { Claim } from "../../../provider/model/claim";
import { create, update } from "../../../provider/runtime/egress-gateway";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";
import { nodes, seen } from "./snapshots";

type Change = { readonly write: readonly Claim[]; readonly remove: readonly string[] };

const owner = { id: "gateway-1", project: "shop", stack: "prod", name: "gateway" };
const gateway: Claim = {
  kind: "gateway",
  owner,
  nodes: { n1: { index: 1, underlay: "192.0.2.91", gateway: true } },
  placement: { "192.0.2.1": "n1" },
  hold: [],
  extraIgnore: [],
  onTunnelLoss: "drop",
  inbound: "drop",
  weave: false,
};
const policy: Claim = {
  kind: "policy",
  owner: { id: "policy-9", project: "other", stack: "prod", name: "policy" },
  gateway: "gateway-1",
  sources: ["10.0.0.0/16"],
  destinations: ["0.0.0.0/0"],
  except: [],
  egressIP: "192.0.2.1",
  established: "keep",
};

/** What has been written to which node, one list of kinds a batch. */
let written: Record<string, string[][]> = {};
let failing = "";

const mockSession = (name: string) => {
  const { snapshot } = seen({ claims: name === "n1" ? [gateway, policy] : [] });
  return {
    name,
    seen: snapshot,
    snapshot: async () => snapshot,
    claim: async () => [],
    release: async () => undefined,
    apply: async ({ write }: Change) => {
      if (name === failing) throw new Error(`node ${name}: no`);
      written[name] = [...(written[name] ?? []), write.map(({ kind }) => kind)];
    },
  };
};
jest.mock("../../../provider/runtime/context", () => ({
  session: (name: string) => mockSession(name),
  knownSessions: () => ["n1", "n2"].map((name) => mockSession(name)),
  configValue: () => undefined,
}));

const [n1, n2] = nodes(2);
const inputs = {
  gateways: [n1],
  clients: [n2],
  egressIPs: ["192.0.2.1"],
  placement: { "192.0.2.1": "n1" },
  label: { project: "shop", stack: "prod", name: "gateway" },
  ownerId: "gateway-1",
};

/** One call of a run of its own. */
async function run<T>(call: () => Promise<T>): Promise<T> {
  forgetRun();
  memory.stacks.add("shop/prod");
  written = {};
  return call();
}

test("a gateway that is adopted comes to a new node together with another stack's policies, in whichever run", async () => {
  await run(() => create(inputs));
  expect(written.n2).toEqual([["gateway", "policy"]]);

  failing = "n2";
  const error: unknown = await run(() => create(inputs).catch((reason: unknown) => reason));
  const { properties } = error as { readonly properties: Record<string, unknown> };
  failing = "";
  await run(() => update("gateway-1", properties, inputs));
  expect(written.n2).toEqual([["gateway", "policy"]]);
});
