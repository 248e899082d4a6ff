import { diff } from "../../../provider/reconcile/diff";
import { plan } from "../../../provider/reconcile/plan";
import { printState } from "../kernel/print-state";
import type { FakeNode } from "./fake-node";
import { compile, desiredOf, emptyNode, type Situation, situationsOf } from "./states";

/** Brings a node to a situation and holds that it is there, whole. */
function bring(node: FakeNode, situation: Situation): void {
  expect(node.apply(plan(desiredOf(situation), node.read()))).toBeUndefined();
  expect(printState(node.read())).toBe(printState(desiredOf(situation)));
}

describe.each(["client-1", "gateway-1"] as const)("on %s", (name) => {
  const situations = situationsOf(name);

  test.each(situations.map((situation) => [situation.name, situation] as const))(
    "nothing is left to do after: %s",
    (_, situation) => {
      const node = emptyNode(name);
      bring(node, situation);
      expect(plan(desiredOf(situation), node.read())).toEqual([]);
      expect(diff(compile(situation), node.read(), situation.nodeOwner)).toEqual([]);
    },
  );

  test.each(situations.map((situation) => [situation.name, situation] as const))(
    "every situation is reached from: %s",
    (_, from) => {
      const start = emptyNode(name);
      bring(start, from);
      for (const to of situations) {
        const node = start.clone();
        bring(node, to);
        expect(plan(desiredOf(to), node.read())).toEqual([]);
      }
    },
  );

  test("what is foreign is untouched by every situation, and alone after the last one", () => {
    const node = emptyNode(name);
    const before = node.print();
    for (const situation of [...situations, ...[...situations].reverse()]) bring(node, situation);
    expect(node.print()).toBe(before);
  });
});
