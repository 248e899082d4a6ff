import type { NamedPolicy } from "../../../provider/model/overlap";
import { InPart } from "../../../provider/runtime/in-part";
import { bring } from "../../../provider/runtime/policy-rollout";
import type { PolicyState } from "../../../provider/runtime/policy-state";
import { LETTING_GO } from "../../../provider/runtime/policy-waves";
import type { Wave } from "../../../provider/runtime/rollout";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";

/** What came to the nodes: `name takes`, `name lets go`, in order. */
let told: string[] = [];
let takingMs = 0;
const failing = new Set<string>();

jest.mock("../../../provider/runtime/look", () => ({ lookAll: async () => new Map() }));
jest.mock("../../../provider/runtime/rollout", () => ({
  rollOut: async (waves: readonly Wave[]) => {
    const nameIn = (some: readonly Wave[]) =>
      some
        .flat()
        .flatMap(({ change }) => change.write)
        .map(({ owner }) => owner.name)[0];
    const [taker, giver] = [nameIn(waves.slice(0, LETTING_GO)), nameIn(waves.slice(LETTING_GO))];
    if (taker) {
      await new Promise((resolve) => setTimeout(resolve, takingMs));
      told.push(`${taker} takes`);
    }
    if (failing.has(giver ?? "")) throw new Error("node client-1: no");
    if (giver) told.push(`${giver} lets go`);
  },
}));

beforeAll(() => jest.useFakeTimers());
afterAll(() => jest.useRealTimers());
beforeEach(() => {
  forgetRun();
  failing.clear();
  told = [];
  takingMs = 10;
});

const gateway = {
  id: "gateway-a",
  name: "gateway",
  fleet: "lab",
  egressIPs: ["192.0.2.1"],
  placement: { "192.0.2.1": "gateway-1" },
  nodes: { "client-1": "192.0.2.91", "gateway-1": "192.0.2.92" },
  ignore: [],
  connection: {},
};
const policy = (name: string, ...cidrs: string[]): PolicyState => ({
  gateway,
  label: { project: "shop", stack: "prod", name },
  ownerId: `policy-${name}`,
  sources: { cidrs },
  egressIP: "192.0.2.1",
});

/** The engine has asked about these. */
const checked = (...names: string[]) => {
  for (const name of names) {
    memory.policies.set(`policy-${name}`, {} as NamedPolicy);
    memory.toCome.add(name);
  }
};
const all = (...some: Promise<void>[]) => Promise.allSettled(some);
const elapse = (ms: number) => jest.advanceTimersByTimeAsync(ms);
const swaps = (name: string) => bring(policy(name, "10.0.0.2"), policy(name, "10.0.0.1"));
const takes = (name: string) => bring(policy(name, "10.0.0.1", "10.0.0.3"), policy(name, "10.0.0.3"));
const loses = (name: string) => bring(policy(name, "10.0.0.5"), policy(name, "10.0.0.5", "10.0.0.6"));

test("only who has waited to the end lets go for those that left their slots", async () => {
  memory.declared.set("policy", 4);
  checked("a", "b");
  const first = all(swaps("a"), loses("b"));
  await elapse(300);
  expect(told).toEqual(["a takes"]);
  checked("c");
  const third = takes("c");
  await elapse(100);
  expect(told).toEqual(["a takes", "c takes"]);
  checked("d");
  const last = takes("d");
  await elapse(1000);
  await Promise.all([first, third, last]);
  expect(told.slice(0, 3)).toEqual(["a takes", "c takes", "d takes"]);
  expect(told.slice(3).sort()).toEqual(["a lets go", "b lets go"]);
});

test("who leaves its slot is not overlooked while it still takes", async () => {
  checked("a", "b");
  takingMs = 500;
  const first = swaps("a");
  await elapse(600);
  takingMs = 10;
  const last = takes("b");
  await elapse(2000);
  await Promise.all([first, last]);
  expect([...told].sort()).toEqual(["a lets go", "a takes", "b takes"]);
});

test("one that is there, while another one could not let go, fails in part, and says of whom", async () => {
  checked("a", "b");
  failing.add("a");
  const first = swaps("a");
  await elapse(600);
  const last = bring(policy("b", "10.0.0.1"), undefined).catch((error: Error) => error);
  await elapse(2000);
  await first;
  const error = await last;
  expect(error).toBeInstanceOf(InPart);
  expect(error?.message).toBe("a could not let go of what they had: node client-1: no");
  expect(told).toEqual(["a takes", "b takes"]);
});
