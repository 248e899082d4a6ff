import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const NAMES = ["a", "b", "c", "d"] as const;

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
      expect((await stack.preview(program(1))).filter(({ change: one }) => one !== "same")).toEqual([]);
      // With one at a time, a batch is one policy's: nobody repeats it without the others.
      if (parallel === 1) {
        await breakCall(lab, "client-1", 1);
        await expect(stack.up(program(2), { parallel })).rejects.toThrow(/node client-1: /);
        await mendCalls(lab, "client-1");
      }
      await stack.up(program(2), { parallel });
      expect((await stack.preview(program(2))).filter(({ change: one }) => one !== "same")).toEqual([]);
      await change(pods, () => stack.destroy(), { established: "cut" });
    },
  );
}
