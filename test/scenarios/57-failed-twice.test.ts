import type { Lab } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, scenario } from "./scenario";

const [EGRESS, OTHER, THIRD, FOURTH] = ["192.168.0.200", "192.168.0.201", "192.168.0.202", "192.168.0.203"] as const;
const [STAYS, STRAYS, PASSES] = ["pod-client-1-1", "pod-client-2-1", "pod-client-1-2"] as const;
const watched = { intervalMs: 50, senders: [PASSES] };

scenario(
  "a pod that passes to another policy keeps its egress IP while that one fails again and again",
  watched,
  async (scene) => {
    const { lab, stack, oracle, change } = scene;
    const program = (isMoved: boolean) => [
      ...fleetOf(lab),
      gatewayOf(lab, "one", [EGRESS, THIRD], { of: ["client-1"], on: ["gateway-1"] }),
      policyOf("p", "one", addressesOf(lab, isMoved ? [STAYS, PASSES] : [STAYS]), { egressIP: EGRESS }),
      policyOf("q", "one", addressesOf(lab, isMoved ? [STRAYS] : [STRAYS, PASSES]), { egressIP: THIRD }),
    ];
    await change([PASSES], () => stack.up(program(false)), { to: [THIRD] });
    const passing = oracle.changing(PASSES, [EGRESS], { established: "cut-paths" });
    for (let round = 0; round < 3; round++) {
      await breakCall(lab, "client-1", 1);
      // One at a time, so that no batch has both policies: it would be repeated for each alone.
      await expect(stack.up(program(true), { parallel: 1 })).rejects.toThrow("node client-1: ");
      await mendCalls(lab, "client-1");
    }
    await stack.up(program(true));
    passing.done([EGRESS]);
    await change([PASSES], () => stack.destroy(), { established: "cut" });
  },
);

/** The gateway of `q` changes as well, so that the engine comes to `q` later. */
const twoGateways = (lab: Lab) => (isMoved: boolean) => [
  ...fleetOf(lab),
  gatewayOf(lab, "one", [EGRESS, THIRD], { of: ["client-1"], on: ["gateway-1"] }),
  gatewayOf(lab, "other", isMoved ? [OTHER] : [OTHER, FOURTH], { of: ["client-1", "client-2"], on: ["gateway-2"] }),
  policyOf("p", "one", addressesOf(lab, isMoved ? [STAYS, PASSES] : [STAYS]), { egressIP: isMoved ? THIRD : EGRESS }),
  policyOf("q", "other", addressesOf(lab, isMoved ? [STRAYS] : [STRAYS, PASSES]), { egressIP: OTHER }),
];

scenario("a pod that passed in a run that was killed goes back without a moment between", watched, async (scene) => {
  const { lab, stack, oracle, change } = scene;
  const program = twoGateways(lab);
  await change([PASSES], () => stack.up(program(false)), { to: [OTHER] });
  const passing = oracle.changing(PASSES, [THIRD], { established: "cut-paths" });
  await stack.unrecorded(() => stack.up(program(true)));
  passing.done([THIRD]);
  const back = oracle.changing(PASSES, [OTHER], { established: "cut-paths" });
  await stack.up(program(false));
  back.done([OTHER]);
  expect((await stack.preview(program(false))).filter(({ change: one }) => one !== "same")).toEqual([]);
  await change([PASSES], () => stack.destroy(), { established: "cut" });
});
