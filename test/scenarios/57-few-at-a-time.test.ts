import { execOk } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, type Scene, scenario } from "./scenario";

const [EGRESS, OTHER] = ["192.168.0.200", "192.168.0.201"] as const;
const NAMES = ["a", "b", "c", "d"] as const;

const changed = async (stack: Scene["stack"], program: readonly Declared[]) =>
  (await stack.preview(program)).filter(({ change }) => change !== "same");

for (const parallel of [1, 2]) {
  scenario(
    `pods pass between more policies than the engine changes at a time (${parallel}): none leaves with its node's address`,
    { intervalMs: 50, unbroken: true },
    async ({ lab, stack, change }) => {
      const pods = lab.pods.slice(0, NAMES.length).map(({ name }) => name);
      /** Each policy has the pod that is `turn` further. */
      const program = (turn: number) => [
        ...fleetOf(lab),
        gatewayOf(lab, "gateway", [EGRESS]),
        ...NAMES.map((name, i) => policyOf(name, "gateway", addressesOf(lab, [pods[(i + turn) % pods.length] ?? ""]))),
      ];
      await change(pods, () => stack.up(program(0)), { to: [EGRESS] });
      await stack.up(program(1), { parallel });
      expect(await changed(stack, program(1))).toEqual([]);
      // With one at a time, a batch is one policy's: nobody repeats it without the others.
      if (parallel === 1) {
        await breakCall(lab, "client-1", 1);
        await expect(stack.up(program(2), { parallel })).rejects.toThrow(/node client-1: /);
        await mendCalls(lab, "client-1");
      }
      await stack.up(program(2), { parallel });
      expect(await changed(stack, program(2))).toEqual([]);
      await change(pods, () => stack.destroy(), { established: "cut" });
    },
  );
}

scenario(
  "a policy that only takes does not let go for one that left its slot",
  { intervalMs: 50, unbroken: true },
  async ({ lab, stack, change }) => {
    const [pod = ""] = lab.pods.map(({ name }) => name);
    const [moving = ""] = addressesOf(lab, [pod]);
    const program = (isMoved: boolean) => {
      const policy = (name: string, before: readonly string[], after: readonly string[]) =>
        policyOf(name, "gateway", isMoved ? after : before, { declared: NAMES.length });
      return [
        ...fleetOf(lab),
        gatewayOf(lab, "gateway", [EGRESS]),
        policy("a", ["10.0.9.1", moving], ["10.0.9.1"]),
        policy("b", ["10.0.9.2", "10.0.9.12"], ["10.0.9.2"]),
        policy("c", ["10.0.9.3"], ["10.0.9.3", "10.0.9.13"]),
        policy("d", ["10.0.9.4"], ["10.0.9.4", moving]),
      ];
    };
    await change([pod], () => stack.up(program(false)), { to: [EGRESS] });
    await stack.up(program(true), { parallel: 2 });
    expect(await changed(stack, program(true))).toEqual([]);
    await change([pod], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "a new policy is remembered where another one could not let go",
  {},
  async ({ lab, stack, oracle, change }) => {
    const [stays, passes] = ["pod-client-2-1", "pod-client-1-1"] as const;
    const program = (isMoved: boolean) => [
      ...fleetOf(lab),
      gatewayOf(lab, "one", [EGRESS], { of: ["client-1", "client-2"], on: ["gateway-1"] }),
      gatewayOf(lab, "other", [OTHER], { of: ["client-1"], on: ["gateway-2"] }),
      policyOf("a", "one", addressesOf(lab, isMoved ? [stays] : [stays, passes])),
      ...(isMoved ? [policyOf("b", "other", addressesOf(lab, [passes]))] : []),
    ];
    await change([stays, passes], () => stack.up(program(false)), { to: [EGRESS] });
    const passing = oracle.changing(passes, [OTHER, EGRESS], { established: "cut-paths" });
    // Not a node of the new one, which lets go for the other one if it comes second.
    await breakCall(lab, "client-2", 1);
    await expect(stack.up(program(true), { parallel: 1 })).rejects.toThrow("node client-2: ");
    await mendCalls(lab, "client-2");
    expect(stack.id("b")).toBeDefined();
    await stack.up(program(false));
    passing.done([EGRESS]);
    expect(await changed(stack, program(false))).toEqual([]);
    await change([stays, passes], () => stack.destroy(), { established: "cut" });
  },
);

scenario("after a refresh nobody is waited for who has drifted and goes", { intervalMs: 50 }, async (scene) => {
  const { lab, stack, change } = scene;
  const [stays = "", goes = ""] = lab.pods.map(({ name }) => name);
  const program = (isLess: boolean) => [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [EGRESS]),
    policyOf("a", "gateway", addressesOf(lab, isLess ? [stays] : [stays, goes])),
    ...(isLess ? [] : [policyOf("b", "gateway", ["10.0.9.1"])]),
  ];
  await change([stays, goes], () => stack.up(program(false)), { to: [EGRESS] });
  const set = /^add (egw-s-\S+) 10\.0\.9\.1/m.exec(await execOk(lab, "client-1", ["ipset", "save"]))?.[1] ?? "";
  await execOk(lab, "client-1", ["ipset", "del", set, "10.0.9.1"]);
  await change([goes], () => stack.up(program(true), { refresh: true }));
  expect(await changed(stack, program(true))).toEqual([]);
  await change([stays], () => stack.destroy(), { established: "cut" });
});
