import fc from "fast-check";
import { diff } from "../../../provider/reconcile/diff";
import { plan } from "../../../provider/reconcile/plan";
import { printState } from "../kernel/print-state";
import { situations } from "./arbitrary";
import { breaksOf, type FakeNode } from "./fake-node";
import { compile, desiredOf, emptyNode, NODES, type NodeName, type Situation } from "./states";

const anyNode = fc.constantFrom(...(Object.keys(NODES) as NodeName[]));
/** Two situations of one node, and where a batch between them breaks. */
const journeys = anyNode.chain((node) =>
  fc.record({ node: fc.constant(node), from: situations(node), to: situations(node), at: fc.nat(999) }),
);

function bring(node: FakeNode, situation: Situation): void {
  expect(node.apply(plan(desiredOf(situation), node.read()))).toBeUndefined();
  expect(printState(node.read())).toBe(printState(desiredOf(situation)));
}

test("from any state, a plan leads to any other state, and there nothing is left to do", () => {
  fc.assert(
    fc.property(journeys, ({ node: name, from, to }) => {
      const node = emptyNode(name);
      const empty = node.print();
      bring(node, from);
      bring(node, to);
      expect(plan(desiredOf(to), node.read())).toEqual([]);
      expect(diff(compile(to), node.read(), to.nodeOwner)).toEqual([]);
      bring(node, { ...to, claims: [] });
      expect(node.print()).toBe(empty);
    }),
    { numRuns: 150 },
  );
});

test("wherever a batch breaks, undo brings back exactly what was there", () => {
  fc.assert(
    fc.property(journeys, ({ node: name, from, to, at }) => {
      const node = emptyNode(name);
      bring(node, from);
      const before = node.print();
      const steps = plan(desiredOf(to), node.read());
      const breaks = breaksOf(steps);
      const breakAt = breaks[at % Math.max(1, breaks.length)];
      if (!breakAt) return;
      expect(node.apply(steps, breakAt)).toBeDefined();
      expect(node.print()).toBe(before);
    }),
    { numRuns: 150 },
  );
});

test("wherever a batch is cut off with nothing undone, the next plan leads on to where it was to go", () => {
  fc.assert(
    fc.property(journeys, ({ node: name, from, to, at }) => {
      const node = emptyNode(name);
      bring(node, from);
      const steps = plan(desiredOf(to), node.read());
      const breaks = breaksOf(steps);
      const breakAt = breaks[at % Math.max(1, breaks.length)];
      if (!breakAt) return;
      node.applyUpTo(steps, breakAt);
      bring(node, to);
    }),
    { numRuns: 150 },
  );
});
