import { policyEntry } from "../../../provider/kernel/bpf-entry";
import type { KernelObject } from "../../../provider/kernel/state";
import { plan } from "../../../provider/reconcile/plan";
import type { Step } from "../../../provider/reconcile/step";
import { compile, FACTS, gatewayClaim, nodeClaim, policyClaim } from "./states";

const GATEWAY = "192.168.0.101";
const [FIRST, SECOND] = ["192.0.2.1", "192.0.2.2"] as const;
const address = (i: number): string => `10.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
const writesOf = (steps: readonly Step[]): string[] =>
  steps.flatMap(({ tool, input }) => (tool === "bpf-entry" ? input : []));

/** Entries of so many sources, from one on; each with the egress IP that it is to have. */
const entries = (count: number, egressIP: (i: number) => string, first = 0): KernelObject[] =>
  Array.from({ length: count }, (_, i) =>
    policyEntry({ source: address(first + i), destination: "203.0.113.0" }, 24, {
      egress_ip: egressIP(first + i),
      gateway: GATEWAY,
    }),
  );

test("a change of 100 of 100,000 entries is 100 writes", () => {
  const there = entries(100_000, () => FIRST);
  const isChanged = (i: number) => i % 1000 === 7;
  const writes = writesOf(
    plan(
      entries(100_000, (i) => (isChanged(i) ? SECOND : FIRST)),
      there,
    ),
  );
  expect(writes).toHaveLength(100);
  expect(new Set(writes.map((line) => line.split(" ")[0]))).toEqual(new Set(["update"]));
});

test("100 of 10,000 sources that others replace are 100 new entries and 100 that go", () => {
  const steps = plan(
    entries(10_000, () => FIRST, 100),
    entries(10_000, () => FIRST),
  );
  const verbs = writesOf(steps).map((line) => line.split(" ")[0]);
  expect(verbs).toEqual([...Array(100).fill("update"), ...Array(100).fill("delete")]);
});

test("100 sources that pass from one policy to another are 100 writes, whatever else the policies select", () => {
  const claims = (moved: number) => {
    const sources = Array.from({ length: 2000 }, (_, i) => `${address(i)}/32`);
    const some = { destinations: ["203.0.113.0/24"] };
    return [
      nodeClaim("client-1"),
      gatewayClaim({ datapath: "bpf" }),
      policyClaim("one", { ...some, sources: sources.slice(moved), egressIP: FIRST }),
      policyClaim("two", { ...some, sources: [...sources.slice(0, moved), "10.200.0.1/32"], egressIP: SECOND }),
    ];
  };
  const objects = (moved: number) =>
    compile({ name: "", claims: claims(moved), facts: FACTS, nodeOwner: "" }).map(({ object }) => object);
  expect(writesOf(plan(objects(100), objects(0)))).toHaveLength(100);
  expect(writesOf(plan(objects(0), objects(0)))).toEqual([]);
});
