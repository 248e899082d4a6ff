import { execOk, type Lab } from "../lab";
import { testFull } from "../setup/skip";
import { Random } from "./random";
import { type Scene, type Setting, scenario } from "./scenario";
import { shown } from "./shown";
import { type Case, casesOf, kindNamesOf } from "./tamper";
import { type Fleet, fleet, SELECTED } from "./tamper/fleet";
import { oneOfEach, oneOfEachWay, packed, together, toldOf } from "./tamper/groups";
import { trySources } from "./try-sources";

const SETTING: Setting = {
  timeoutMs: 3_600_000,
  // Others may well be taken into a tunnel by what is added by hand.
  senders: SELECTED,
  // Where the rule that keeps the CNI's masquerading out of the tunnel is gone, what it masks is dropped at the gateway.
  excuses: / 100\.126\.\S+ → .*: tunnelled, but neither from nor to a pod;/,
};

const kindNames = kindNamesOf(process.env.EGW_DATAPATH === "bpf");
const nameOf = (one: Case): string => `${one.node}: ${one.how} ${one.kind} ${one.what}`;

/** Sources that selected pods showed and should not have. */
async function wrongSources(lab: Lab, selected: Fleet["selected"]): Promise<string[]> {
  const seen = [...selected].map(async ([pod, egressIP]) => {
    const sources = await trySources(lab, pod);
    return sources.filter((source) => source !== egressIP).map((source) => `${pod.name} as ${source}`);
  });
  return (await Promise.all(seen)).flat();
}

/** Does each group by hand, looks at what leaves and at what a preview says, and repairs. The next preview shows whether it is repaired. */
async function tamper(
  { lab, stack, oracle, change }: Scene,
  groups: (cases: readonly Case[]) => Case[][],
): Promise<void> {
  const { program, selected, destinations } = fleet(lab);
  const select = [...selected].reduce(
    (act, [pod, egressIP]) =>
      () =>
        change([pod.name], act, { to: [egressIP], targets: destinations[egressIP] ?? [] }),
    () => stack.up(program) as Promise<unknown>,
  );
  await select();
  const cases = await casesOf(lab);
  expect([...new Set(cases.map(({ kind }) => kind))].sort()).toEqual([...kindNames].sort());
  const problems: string[] = [];
  for (const group of groups(cases)) {
    const name = group.map(nameOf).join(" and ");
    oracle.note(name);
    for (const { node, script } of group) await execOk(lab, node, ["sh", "-e"], { input: script });
    const [lines, wrong] = await Promise.all([shown(stack, program), wrongSources(lab, selected)]);
    try {
      expect({ lines, wrong }).toEqual({ lines: toldOf(group), wrong: [] });
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message}`);
    }
    for (const { node, cleanup } of group) if (cleanup) await execOk(lab, node, ["sh", "-e"], { input: cleanup });
    await stack.up(program).catch((error: Error) => {
      throw new Error([...problems, `${name} can't be repaired: ${error.message}`].join("\n\n"));
    });
    for (const { node, afterwards } of group)
      if (afterwards) await execOk(lab, node, ["sh", "-e"], { input: afterwards });
  }
  expect(problems.join("\n\n")).toEqual("");
  expect(await shown(stack, program)).toEqual({});
  await change(SELECTED, () => stack.destroy(), { established: "cut" });
}

const random = new Random();

scenario(
  `one object of each kind, and three of any, are shown, let nothing out and are repaired (seed ${random.seed})`,
  SETTING,
  (scene) =>
    tamper(scene, (cases) => [
      ...packed(kindNames.map((kind) => random.pick(cases.filter((one) => one.kind === kind)))),
      ...together(cases, random, 1),
    ]),
);

scenario(
  `one at a time: one of each kind, in each way that it can be tampered with (seed ${random.seed})`,
  SETTING,
  (scene) => tamper(scene, (cases) => oneOfEachWay(cases, random).map((one) => [one])),
  testFull,
);

for (const kind of kindNames) {
  scenario(
    `every ${kind}`,
    { ...SETTING, engine: "mini" },
    (scene) =>
      tamper(scene, (cases) =>
        oneOfEach(
          cases.filter((one) => one.kind === kind),
          random,
        ).map((one) => [one]),
      ),
    testFull,
  );
}

scenario(
  `three at once (seed ${random.seed})`,
  { ...SETTING, engine: "mini" },
  (scene) => tamper(scene, (cases) => together(cases, random, 100)),
  testFull,
);
