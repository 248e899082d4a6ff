import { execOk, type Lab, podCall } from "../lab";
import { run } from "../lab/run";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { pullCable } from "./cable";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const SELECTED = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const OTHER_EGRESS = "192.168.0.201";
const OTHERS = ["pod-client-2-1"];

/** What each pod shows the outside now, or why it gets no answer. */
async function shows(lab: Lab, pods: readonly string[]): Promise<string[]> {
  const target = lab.outside[0]?.address ?? "";
  const calls = await Promise.all(pods.map((pod) => podCall(lab, pod, target, { timeoutMs: 1000 })));
  return calls.map(({ source, error }) => source ?? String(error));
}

scenario("without its gateway or egress address a pod reaches nothing outside, and others go on", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const program = [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [EGRESS, OTHER_EGRESS], {
      placement: { [EGRESS]: "gateway-1", [OTHER_EGRESS]: "gateway-2" },
    }),
    policyOf("policy", "gateway", addressesOf(lab, SELECTED), { egressIP: EGRESS }),
    policyOf("others", "gateway", addressesOf(lab, OTHERS), { egressIP: OTHER_EGRESS }),
  ];
  await change([...SELECTED, ...OTHERS], () => stack.up(program), { to: [EGRESS, OTHER_EGRESS] });
  scene.oracle.expect(SELECTED, { sources: [EGRESS] });
  scene.oracle.expect(OTHERS, { sources: [OTHER_EGRESS] });
  const both = [...SELECTED, ...OTHERS];
  expect(await shows(lab, both)).toEqual([EGRESS, EGRESS, EGRESS, OTHER_EGRESS]);

  const without = await pullCable(lab, "gateway-1", () => shows(lab, both));
  expect(without).toEqual(["timeout", "timeout", "timeout", OTHER_EGRESS]);
  expect(await shows(lab, both)).toEqual([EGRESS, EGRESS, EGRESS, OTHER_EGRESS]);

  await execOk(lab, "gateway-1", ["ip", "addr", "del", `${EGRESS}/32`, "dev", "eth0"]);
  await run(["ip", "-n", `egw-${lab.name}-router`, "neigh", "flush", "all"]);
  expect(await shows(lab, both)).toEqual(["timeout", "timeout", "timeout", OTHER_EGRESS]);
  await change([], () => stack.up(program));
  expect(await shows(lab, both)).toEqual([EGRESS, EGRESS, EGRESS, OTHER_EGRESS]);
  await change(both, () => stack.destroy(), { established: "cut" });
});
