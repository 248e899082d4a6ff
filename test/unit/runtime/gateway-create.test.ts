import { create } from "../../../provider/runtime/egress-gateway";
import { forgetRun } from "../../../provider/runtime/run-memory";
import { nodes, seen } from "./snapshots";

/** What became of the batches of the node and of its registry. */
let told: string[] = [];
let failures = 0;

const mockNode = {
  name: "n1",
  snapshot: async () => seen({}).snapshot,
  claim: async () => {
    told.push("claim");
    return [];
  },
  release: async () => void told.push("release"),
  apply: async ({ remove }: { readonly remove: readonly string[] }) => {
    told.push(remove.length > 0 ? "remove" : "write");
    if (failures-- > 0) throw new Error("node n1: no");
  },
};
jest.mock("../../../provider/runtime/context", () => ({
  session: () => mockNode,
  knownSessions: () => [],
  configValue: () => undefined,
}));

const inputs = {
  gateways: nodes(1),
  clients: [],
  egressIPs: ["192.0.2.1"],
  placement: { "192.0.2.1": "n1" },
  label: { project: "shop", stack: "prod", name: "gateway" },
  ownerId: "gateway-1",
};

beforeEach(() => {
  forgetRun();
  told = [];
});

test("a create that fails goes again, and lets go of its addresses", async () => {
  failures = 1;
  const error: unknown = await create(inputs).catch((reason: unknown) => reason);
  expect(error).not.toHaveProperty("id");
  expect(told).toEqual(["claim", "write", "remove", "release"]);
});

test("one that can't go again keeps them, and the engine is to remember it", async () => {
  failures = 2;
  const error: unknown = await create(inputs).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ id: "gateway-1", properties: { ...inputs, placement: {} }, reasons: ["node n1: no"] });
  expect(told).toEqual(["claim", "write", "remove"]);
});
