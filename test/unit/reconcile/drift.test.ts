import fc from "fast-check";
import { type KernelObject, KINDS, textOf } from "../../../provider/kernel/state";
import { type Difference, describe as describeDifference, diff } from "../../../provider/reconcile/diff";
import { plan } from "../../../provider/reconcile/plan";
import { printState } from "../kernel/print-state";
import { runIpLine } from "./fake-ip";
import { breaksOf, type FakeNode } from "./fake-node";
import { compile, desiredOf, emptyNode, type NodeName, type Situation, situationsOf } from "./states";
import { TAMPERS, tamperWith } from "./tamper";

const NAMES: readonly NodeName[] = ["client-1", "gateway-1"];
/** The situations with the most on the node. */
const busy = [
  "client-1: everything but some",
  "client-1: every switch",
  "gateway-1: a FORWARD policy of DROP",
  "gateway-1: programs of policies with wide sources and exceptions",
].map((name) => {
  const node = NAMES.find((candidate) => name.startsWith(candidate));
  if (!node) throw new Error(`no node in "${name}"`);
  return { node, situation: situationNamed(name) };
});

function situationNamed(name: string): Situation {
  const situation = NAMES.flatMap(situationsOf).find((candidate) => candidate.name === name);
  if (!situation) throw new Error(`no situation "${name}"`);
  return situation;
}

function nodeIn(name: NodeName, situation: Situation): FakeNode {
  const node = emptyNode(name);
  expect(node.apply(plan(desiredOf(situation), node.read()))).toBeUndefined();
  return node;
}

function repair(node: FakeNode, situation: Situation): void {
  expect(node.apply(plan(desiredOf(situation), node.read()))?.message).toBeUndefined();
  expect(printState(node.read())).toBe(printState(desiredOf(situation)));
  expect(diff(compile(situation), node.read(), situation.nodeOwner)).toEqual([]);
}

test("every kind has something that a person can do to it", () => {
  expect([...new Set(TAMPERS.map(({ kind }) => kind))].sort()).toEqual(Object.keys(KINDS).sort());
});

test.each(TAMPERS.map((tamper) => [tamper.name, tamper] as const))(
  "%s: told to the owner, and repaired",
  (_, tamper) => {
    let done = 0;
    for (const { node: name, situation } of busy) {
      const start = nodeIn(name, situation);
      const owned = compile(situation);
      const owners = new Set(owned.map(({ owner }) => owner));
      const targets = owned.filter(({ object }) => object.kind === tamper.kind);
      const nth = Math.ceil(targets.length / 12);
      for (const { object, owner } of targets.filter((_, i) => i % nth === 0)) {
        const node = start.clone();
        if (!tamperWith(node, tamper, object, textOf)) continue;
        done++;
        const found = diff(owned, node.read(), situation.nodeOwner);
        expect(found.every((difference) => owners.has(difference.owner))).toBe(true);
        const told = found.some((d) => d.kind === tamper.told && (tamper.isElsewhere || isAbout(d, object, owner)));
        if (!told) throw new Error(`${textOf(object)}: not told, but:\n${found.map(describeDifference).join("\n")}`);
        const foreign = node.foreign();
        repair(node, situation);
        expect(node.foreign()).toBe(foreign);
      }
    }
    expect(done).toBeGreaterThan(0);
  },
);

test("a tunnel device that leaves a master loses what was added to it meanwhile", () => {
  for (const { node: name, situation } of busy) {
    const node = nodeIn(name, situation);
    runIpLine(node.world, "link set egw.vxlan master eth0");
    runIpLine(node.world, "neigh replace 100.126.99.99 lladdr 02:00:00:00:00:01 dev egw.vxlan nud permanent");
    runIpLine(node.world, "route replace 203.0.113.0/24 via 100.126.0.9 dev egw.vxlan table 3001 proto 38");
    repair(node, situation);
  }
});

test.each(TAMPERS.filter(({ told }) => told === "extra").map((tamper) => [tamper.name, tamper] as const))(
  "%s: goes with the last claim",
  (_, tamper) => {
    for (const { node: name, situation } of busy) {
      const start = nodeIn(name, situation);
      for (const object of desiredOf(situation).filter(({ kind }) => kind === tamper.kind)) {
        const node = start.clone();
        if (!tamperWith(node, tamper, object, textOf)) continue;
        expect(node.apply(plan([], node.read()))?.message).toBeUndefined();
        expect(node.print()).toBe(emptyNode(name).print());
      }
    }
  },
);

const isAbout = (d: Difference, object: KernelObject, owner: string): boolean =>
  d.owner === owner && d.desired !== undefined && textOf(d.desired) === textOf(object);

test("what is extra in a set, of a policy's rules or beside a rule of a gateway is told to its owner", () => {
  const situation = situationNamed("client-1: one policy");
  const owned = compile(situation);
  const ownerOf = (tamperName: string, text: RegExp): string[] => {
    const tamper = TAMPERS.find(({ name }) => name === tamperName);
    const target = owned.find(({ object }) => text.test(textOf(object)));
    if (!tamper || !target) throw new Error(`no ${tamperName} ${text}`);
    const node = nodeIn("client-1", situation);
    tamperWith(node, tamper, target.object, textOf);
    return diff(owned, node.read(), situation.nodeOwner).map((d) => `${d.kind} ${d.owner}`);
  };
  expect(ownerOf("ipset-member added", /^ipset-member egw-s-/)).toEqual(["extra policy-1"]);
  expect(ownerOf("ipset-member added", /^ipset-member egw-ignore/)).toEqual(["extra node-client-1"]);
  expect(ownerOf("chain-rule doubled", /EGRESSGATEWAY-CHOOSE .*--comment egw-/)).toEqual(["extra policy-1"]);
  expect(ownerOf("chain-rule doubled", /mac-source/)).toEqual(["extra gateway-a"]);
  expect(ownerOf("ip-rule in front added", /^ip-rule/)).toEqual(["extra gateway-a"]);
  expect(ownerOf("ip-rule added", /^ip-rule/)).toEqual(["extra node-client-1"]);
  expect(ownerOf("chain added", /^chain/)).toEqual(["extra node-client-1", "extra node-client-1"]);
});

test("one to three hands at random are found and repaired together", () => {
  const cases = fc.constantFrom(...busy).chain(({ node, situation }) => {
    const targets = TAMPERS.flatMap((tamper) =>
      desiredOf(situation).flatMap((object) => (object.kind === tamper.kind ? [{ tamper, object }] : [])),
    );
    return fc.record({
      node: fc.constant(node),
      situation: fc.constant(situation),
      hands: fc.array(fc.constantFrom(...targets), { minLength: 1, maxLength: 3 }),
    });
  });
  fc.assert(
    fc.property(cases, ({ node: name, situation, hands }) => {
      const node = nodeIn(name, situation);
      const clean = printState(node.read());
      for (const { tamper, object } of hands) tamperWith(node, tamper, object, textOf);
      const found = diff(compile(situation), node.read(), situation.nodeOwner);
      if (printState(node.read()) !== clean) expect(found).not.toEqual([]);
      repair(node, situation);
    }),
    { numRuns: 150 },
  );
});

// The exception: of a hook at the end of a chain nobody knows how many rules are before it, so undo leaves it where it belongs,
// and with it a hook of the front that was found behind it.
test("a repair that breaks anywhere brings the drift back exactly as it was", () => {
  for (const { node, situation } of busy) {
    for (const tamper of TAMPERS) {
      const targets = desiredOf(situation).filter(({ kind }) => kind === tamper.kind);
      const last = desiredOf(situation).flatMap((o) =>
        o.kind === "hook" && o.place === "last" ? [`${o.table} ${o.chain}`] : [],
      );
      const isFit = (o: KernelObject): boolean => o.kind !== "hook" || !last.includes(`${o.table} ${o.chain}`);
      for (const target of targets.filter(isFit).slice(0, tamper.kind === "hook" ? 99 : 2)) {
        const start = nodeIn(node, situation);
        if (tamperWith(start, tamper, target, textOf))
          breakRepair(start, situation, `${tamper.name}: ${textOf(target)}`);
      }
    }
  }
});

function breakRepair(start: FakeNode, situation: Situation, name: string): void {
  const steps = plan(desiredOf(situation), start.read());
  for (const breakAt of breaksOf(steps)) {
    const node = start.clone();
    expect(node.apply(steps, breakAt)).toBeDefined();
    if (node.print() === start.print()) continue;
    throw new Error(
      `${situation.name}: ${name} ${JSON.stringify(breakAt)}\n${difference(start.print(), node.print())}`,
    );
  }
}

function difference(wanted: string, found: string): string {
  const [a, b] = [wanted.split("\n"), found.split("\n")];
  return [
    ...a.filter((line) => !b.includes(line)).map((line) => `- ${line}`),
    ...b.filter((line) => !a.includes(line)).map((line) => `+ ${line}`),
  ].join("\n");
}
