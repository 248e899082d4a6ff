import { plan } from "../../../provider/reconcile/plan";
import { printState } from "../kernel/print-state";
import { breaksOf, type FakeNode } from "./fake-node";
import { desiredOf, emptyNode, type Situation, situationsOf } from "./states";

const NAMES = ["client-1", "gateway-1"] as const;

/** Each situation to the next one, from nothing and to nothing. Pairs at random are in laws.test.ts. */
function pairs(): [string, Situation, Situation, (typeof NAMES)[number]][] {
  return NAMES.flatMap((name) => {
    const [nothing, ...rest] = situationsOf(name);
    return rest.flatMap((situation, i) =>
      [nothing, rest[i + 1] ?? rest[0]].flatMap((other) => (other ? both(name, situation, other) : [])),
    );
  });
}

function both(
  node: (typeof NAMES)[number],
  a: Situation,
  b: Situation,
): [string, Situation, Situation, (typeof NAMES)[number]][] {
  return [
    [`${a.name} → ${b.name}`, a, b, node],
    [`${b.name} → ${a.name}`, b, a, node],
  ];
}

function nodeIn(name: (typeof NAMES)[number], situation: Situation): FakeNode {
  const node = emptyNode(name);
  expect(node.apply(plan(desiredOf(situation), node.read()))).toBeUndefined();
  return node;
}

test("a batch that breaks anywhere leaves the node exactly as it was", () => {
  for (const [name, from, to, node] of pairs()) {
    const start = nodeIn(node, from);
    const steps = plan(desiredOf(to), start.read());
    for (const breakAt of breaksOf(steps)) {
      const broken = start.clone();
      expect(broken.apply(steps, breakAt)).toBeDefined();
      if (broken.print() !== start.print()) {
        throw new Error(
          `${name}, broken at ${JSON.stringify(breakAt)} ${steps[breakAt.step]?.tool}:\n${difference(start.print(), broken.print())}`,
        );
      }
    }
  }
});

test("a node that lost power anywhere in a batch is brought to where it was to go, and its foreign things are as they were", () => {
  for (const [name, from, to, node] of pairs()) {
    const start = nodeIn(node, from);
    const steps = plan(desiredOf(to), start.read());
    const whole = nodeIn(node, to).print();
    for (const breakAt of breaksOf(steps).filter((_, i) => i % 3 === 0)) {
      const broken = start.clone();
      broken.applyUpTo(steps, breakAt);
      const error = broken.apply(plan(desiredOf(to), broken.read()));
      if (error !== undefined || broken.print() !== whole) {
        throw new Error(
          `${name}, broken at ${JSON.stringify(breakAt)}: ${error?.message}\n${difference(whole, broken.print())}`,
        );
      }
    }
  }
});

test("an egress IP that another host answers for is refused and nothing is left of the attempt", () => {
  const [enrolled, gateway] = ["gateway-1: enrolled", "gateway-1: one policy"].map((name) =>
    situationsOf("gateway-1").find((situation) => situation.name === name),
  );
  if (!enrolled || !gateway) throw new Error("no such situation");
  const node = nodeIn("gateway-1", enrolled);
  node.world.taken.add("192.0.2.1");
  const before = node.print();
  expect(node.apply(plan(desiredOf(gateway), node.read()))?.message).toBe(
    "address 192.0.2.1 is already used by 02:00:00:00:00:99",
  );
  expect(node.print()).toBe(before);
  expect(printState(node.read())).toBe(printState(desiredOf(enrolled)));
});

function difference(wanted: string, found: string): string {
  const [a, b] = [wanted.split("\n"), found.split("\n")];
  return [
    ...a.filter((line) => !b.includes(line)).map((line) => `- ${line}`),
    ...b.filter((line) => !a.includes(line)).map((line) => `+ ${line}`),
  ].join("\n");
}
