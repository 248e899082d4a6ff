import { create } from "../../../provider/runtime/node-mark";
import { claimOf, type NodeMarkState } from "../../../provider/runtime/node-mark-state";
import { forgetRun } from "../../../provider/runtime/run-memory";
import { ignore, nodes, seen } from "./snapshots";

/** What became of the batches of the node and of its registry. */
let told: string[] = [];
let failures = 0;
let isThere = false;

const claim = () => claimOf(inputs as unknown as NodeMarkState);
const mockNode = {
  name: "n1",
  snapshot: async () => seen({ claims: isThere ? [claim()] : [] }).snapshot,
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

const [ref] = nodes(1);
const inputs = {
  ...ref,
  ref,
  fleet: { name: "lab", registry: ref?.registry, ignore },
  label: { project: "shop", stack: "prod", name: "n1" },
  ownerId: "node-1",
  mark: "0x26000100",
  tunnelAddress: "100.126.0.1",
  tunnelMTU: 1450,
};

beforeEach(() => {
  forgetRun();
  told = [];
  isThere = false;
});

const failed = () => create(inputs).catch((reason: unknown) => reason);

test("a create that fails leaves the node, and lets go of its mark", async () => {
  failures = 1;
  expect(await failed()).not.toHaveProperty("id");
  expect(told).toEqual(["claim", "write", "remove", "release"]);
});

test("one whose node is not known to be as before keeps its mark, and the engine is to remember it", async () => {
  failures = 2;
  expect(await failed()).toMatchObject({ id: "node-1", properties: inputs, reasons: ["node n1: no"] });
  expect(told).toEqual(["claim", "write", "remove"]);
});

test("one that was to go on with what an earlier run left takes nothing down", async () => {
  failures = 1;
  isThere = true;
  expect(await failed()).toMatchObject({ id: "node-1", properties: inputs, reasons: ["node n1: no"] });
  expect(told).toEqual(["claim", "write"]);
});
