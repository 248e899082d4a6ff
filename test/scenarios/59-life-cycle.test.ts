import { podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { type Declared, Stack } from "../operator/stack";
import { addressesOf, type Scene, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const OTHER = "192.168.0.201";
const POD = "pod-client-1-1";

const programOf = ({ lab }: Scene, policy: string, egressIP: string): Declared[] => [
  ...fleetOf(lab),
  gatewayOf(lab, "gateway", [egressIP]),
  policyOf(policy, "gateway", addressesOf(lab, [POD]), { egressIP, established: "cut" }),
];

async function changes(stack: Stack, program: readonly Declared[]): Promise<string[]> {
  const planned = await stack.preview(program);
  return planned.filter(({ change }) => change !== "same").map(({ name, change }) => `${change} ${name}`);
}

const shown = async ({ lab }: Scene) => (await podCall(lab, POD, lab.outside[0]?.address ?? "")).source;

scenario("what a lost state left on the nodes is adopted, and said", { engine: "mini" }, async (scene) => {
  const { operator, change } = scene;
  const stack = new Stack(operator);
  const program = programOf(scene, "policy", EGRESS);
  const said = () => operator.call<string[]>("own", "warnings");
  await change([POD], () => stack.up(program), { to: [EGRESS], established: "cut" });
  const ids = program.map(({ name }) => stack.id(name));

  // Deleted with retainOnDelete, and created again.
  stack.forget("policy");
  expect(await changes(stack, program)).toEqual(["create policy"]);
  await said();
  await stack.up(program);
  expect(await said()).toEqual([
    `policy organization/test/dev/policy: adopts what an earlier run left on the nodes (${ids.at(-1)})`,
  ]);

  for (const { name } of program) stack.forget(name);
  await stack.up(program);
  expect(program.map(({ name }) => stack.id(name))).toEqual(ids);
  expect(await said()).toHaveLength(program.length);
  expect(await changes(stack, program)).toEqual([]);
  expect(await shown(scene)).toBe(EGRESS);
  await change([POD], () => stack.destroy(), { established: "cut" });
});

scenario(
  "renaming stack and resource changes nothing, and what comes after it works",
  { engine: "mini" },
  async (scene) => {
    const { operator, change } = scene;
    const first = new Stack(operator);
    await change([POD], () => first.up(programOf(scene, "policy", EGRESS)), { to: [EGRESS], established: "cut" });
    const stack = first.renamed("other-name");
    expect(await changes(stack, programOf(scene, "policy", EGRESS))).toEqual([]);
    stack.rename("policy", "better-name");
    const renamed = programOf(scene, "better-name", EGRESS);
    expect(await changes(stack, renamed)).toEqual([]);
    await stack.up(renamed);
    expect(await shown(scene)).toBe(EGRESS);

    // The nodes still know the old names; that makes nothing of one's own foreign.
    const moved = programOf(scene, "better-name", OTHER);
    expect(await changes(stack, moved)).toEqual(["update gateway", "update better-name"]);
    await change([POD], () => stack.up(moved), { to: [OTHER], established: "cut" });
    expect(await shown(scene)).toBe(OTHER);
    expect(await changes(stack, moved)).toEqual([]);
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);
