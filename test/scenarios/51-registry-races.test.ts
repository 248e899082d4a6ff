import { allocateMark } from "../../provider/model/allocation";
import { indexOf } from "../../provider/model/mark";
import { execOk, type Lab } from "../lab";
import { Operator } from "../operator/operator";
import { fleetOf, gatewayOf } from "../operator/program";
import { type Declared, Stack } from "../operator/stack";
import { scenario } from "./scenario";

const RACES = 50;
const EGRESS = "192.168.0.200";

interface Entry {
  readonly key: string;
  readonly owner: string;
  readonly holder: string;
  readonly content: string;
}

const entry = (key: string, who: string): Entry => ({ key, owner: `node-${who}`, holder: `stack/${who}`, content: "" });

/** A node as the registry's client needs it. */
function registryOf(lab: Lab): [string, unknown, string] {
  const inputs = fleetOf(lab)
    .find(({ name }) => name === "gateway-1")
    ?.inputs(() => ({}));
  return ["gateway-1", inputs?.connection, "races"];
}

scenario(
  `two operators who claim the same mark and egress IP at the same moment: one gets both, ${RACES} times`,
  {},
  async (scene) => {
    const { lab, operator } = scene;
    const other = Operator.start(lab);
    try {
      const registry = registryOf(lab);
      const claim = (from: Operator, race: number, who: string) =>
        from.call<Entry[]>("own", "claim", ...registry, [
          entry(`mark-${race + 1}`, who),
          entry(`ip-192.0.2.${race + 1}`, who),
        ]);
      const races = Array.from({ length: RACES }, async (_, race) => {
        const [one, two] = [`one-${race}`, `two-${race}`];
        const [ofOne, ofTwo] = await Promise.all([claim(operator, race, one), claim(other, race, two)]);
        const [clashes, winner] = ofOne.length > 0 ? [ofOne, two] : [ofTwo, one];
        return {
          both: ofOne.length * ofTwo.length,
          holders: clashes.map(({ key, holder }) => `${key} ${holder}`),
          winner,
        };
      });
      for (const [race, { both, holders, winner }] of (await Promise.all(races)).entries()) {
        expect({ race, both, holders }).toEqual({
          race,
          both: 0,
          holders: [`mark-${race + 1} stack/${winner}`, `ip-192.0.2.${race + 1} stack/${winner}`],
        });
      }
      const owners = Array.from({ length: RACES }, (_, race) => [`one-${race}`, `two-${race}`]).flat();
      await Promise.all(owners.map((who) => operator.call("own", "release", ...registry, `node-${who}`)));
      expect(await execOk(lab, "gateway-1", ["sh", "-c", "ls -A /var/lib/pulumi-egress 2>/dev/null || true"])).toBe("");
    } finally {
      await other.stop();
    }
  },
);

/** Names of nodes that all want one and the same mark, the lowest that none of them has. */
function namesOfOneMark(count: number): string[] {
  const wanted = allocateMark("node-0", "lab", new Set());
  const names: string[] = [];
  for (let i = 0; names.length < count; i++)
    if (allocateMark(`node-${i}`, "lab", new Set()) === wanted) names.push(`node-${i}`);
  return names;
}

/** The fleet, with names of nodes that want the same mark. */
function contested(lab: Lab): Declared[] {
  const names = namesOfOneMark(lab.nodes.length);
  const nameOf = (resource: string) => names[lab.nodes.findIndex(({ name }) => name === resource)];
  const registry = registryOf(lab)[1];
  return fleetOf(lab, { registry: { node: nameOf("gateway-1"), connection: registry } }).map((one) => ({
    ...one,
    inputs: (outputs) => ({ ...one.inputs(outputs), node: nameOf(one.name) }),
  }));
}

/** Runs both at the same moment, and again while one of them is refused a mark; gives what was said to the refused. */
async function bringUp(runs: readonly (() => Promise<void>)[]): Promise<string[]> {
  const said: string[] = [];
  for (let round = 0; ; round++) {
    const results = await Promise.allSettled(runs.map((run) => run()));
    const refused = results.flatMap((one) => (one.status === "rejected" ? [(one.reason as Error).message] : []));
    if (refused.length === 0 || round === MOST_ROUNDS) return [...said, ...refused].flatMap((text) => text.split("\n"));
    said.push(...refused);
  }
}

/** In each round at least one more node gets a mark. */
const MOST_ROUNDS = 4;

scenario(
  "two stacks that come up at the same moment, whose nodes all want one mark, get marks of their own, and one of them the egress IP",
  { engine: "mini" },
  async (scene) => {
    const { lab, stack, operator } = scene;
    const other = Operator.start(lab);
    try {
      const second = new Stack(other, { project: "organization/test", stack: "second" });
      const fleet = contested(lab);
      const part = (...names: string[]): Declared[] => fleet.filter(({ name }) => names.includes(name));
      const [mine, theirs] = [part("client-1", "gateway-1"), part("client-2", "gateway-2")];
      // Both processes are there when they are told to begin.
      await Promise.all([operator, other].map((one) => one.call("own", "warnings")));
      const both = () => bringUp([() => stack.up(mine), () => second.up(theirs)]);
      let said = await both();
      // Where one was through before the other began there was no race.
      for (let again = 0; said.length === 0 && again < 5; again++) {
        await Promise.all([stack.destroy(), second.destroy()]);
        said = await both();
      }
      const marks = [
        ...mine.map(({ name }) => stack.outputs(name).mark),
        ...theirs.map(({ name }) => second.outputs(name).mark),
      ];
      const first = allocateMark("node-0", "lab", new Set());
      expect(new Set(marks.map((mark) => indexOf(Number(mark))))).toEqual(new Set([0, 1, 2, 3].map((i) => first + i)));
      expect(said.length).toBeGreaterThan(0);
      for (const message of said)
        expect(message).toMatch(
          /^mark 0x26[0-9a-f]{4}00 is already held by organization\/test\/(dev|second)\/\S+ \(node node-\d+\) in fleet "lab"\. Run again to get a free one\.$/,
        );

      const gateway = (number: number) =>
        gatewayOf(lab, "gateway", [EGRESS], { on: [`gateway-${number}`], of: [`client-${number}`] });
      const results = await Promise.allSettled([stack.up([...mine, gateway(1)]), second.up([...theirs, gateway(2)])]);
      const refused = results.flatMap((result) =>
        result.status === "rejected" ? [(result.reason as Error).message] : [],
      );
      expect(refused).toEqual([
        expect.stringMatching(
          /192\.168\.0\.200 is already held by organization\/test\/(dev|second)\/gateway in fleet "lab"/,
        ),
      ]);
      // The second to go is alone with the registry.
      await stack.destroy();
      await second.destroy();
    } finally {
      await other.stop();
    }
  },
);
