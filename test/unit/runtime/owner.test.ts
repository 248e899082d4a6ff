import type { Claim } from "../../../provider/model/claim";
import { adoptByLabel, nodesThatStay, noteLive } from "../../../provider/runtime/owner";
import { forgetRun } from "../../../provider/runtime/run-memory";
import type { Snapshot } from "../../../provider/runtime/snapshot";
import { seen } from "./snapshots";

const NONE: ReadonlySet<string> = new Set();

const label = (name: string) => ({ project: "shop", stack: "prod", name });
const claim: Claim = {
  kind: "policy",
  owner: { id: "policy-1", ...label("web") },
  gateway: "x",
  sources: [],
  destinations: [],
  except: [],
  egressIP: "192.0.2.1",
  established: "keep",
};
const node = seen({ claims: [claim] }).snapshot as Snapshot;

beforeEach(forgetRun);
beforeAll(() => void jest.spyOn(console, "warn").mockImplementation(() => undefined));

test("what no state knows is adopted by its name", () => {
  expect(adoptByLabel("policy", label("web"), [node])).toBe(claim);
  expect(adoptByLabel("policy", label("other"), [node])).toBeUndefined();
});

test("what a renamed resource of this run has is not adopted under its former name", () => {
  expect(noteLive("policy-1", label("web-old"), ["n1"], { instance: "one", isNew: true, had: NONE })).toEqual([]);
  expect(adoptByLabel("policy", label("web"), [node])).toBeUndefined();
});

test("a renamed resource whose id was adopted before it was heard of is refused, and both are named", () => {
  expect(noteLive("policy-1", label("web"), ["n1"], { instance: "one", isNew: true, had: NONE })).toEqual([]);
  expect(noteLive("policy-1", label("web-old"), ["n1"], { instance: "one", isNew: true, had: NONE })).toEqual([
    {
      path: "label",
      message: expect.stringMatching(/^the nodes know shop\/prod\/web-old by .*, which shop\/prod\/web of this/),
    },
  ]);
});

test("a resource that is replaced by force stays on the nodes that the program has it on", () => {
  expect(nodesThatStay("policy-1")).toBeUndefined();
  expect(noteLive("policy-1", label("web"), ["n1"], { instance: "one", isNew: true, had: NONE })).toEqual([]);
  expect(noteLive("policy-1", label("web"), ["n1", "n2"], { instance: "one", isNew: true, had: NONE })).toEqual([]);
  expect(nodesThatStay("policy-1")).toEqual(new Set(["n1", "n2"]));
});

test.each(["policy-1", "policy-2"])(
  "a second resource of one type and name is refused, known to a node or new",
  (id) => {
    expect(noteLive("policy-1", label("web"), ["n1"], { instance: "one", isNew: true, had: NONE })).toEqual([]);
    expect(noteLive("policy-1", label("web"), ["n1"], { instance: "one", isNew: true, had: NONE })).toEqual([]);
    expect(noteLive("gateway-1", label("web"), ["n1"], { instance: "three", isNew: true, had: NONE })).toEqual([]);
    expect(noteLive(id, label("web"), ["n1"], { instance: "two", isNew: true, had: NONE })).toEqual([
      { path: "label", message: expect.stringMatching(/^two resources of this program are shop\/prod\/web, /) },
    ]);
  },
);

test("two resources of one name that each have a state of their own stay as they are", () => {
  expect(noteLive("policy-1", label("web"), ["n1"], { instance: "one", isNew: false, had: NONE })).toEqual([]);
  expect(noteLive("policy-2", label("web"), ["n1"], { instance: "two", isNew: false, had: NONE })).toEqual([]);
});
