import { type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, type Scene, scenario, usualSource } from "./scenario";

const [EGRESS, OTHER] = ["192.168.0.200", "192.168.0.201"] as const;
/** On the client node of the one gateway, and on that of the other. */
const [STAYS, STRAYS] = ["pod-client-1-1", "pod-client-2-1"] as const;

const programOf = (lab: Lab) => (gateway: string) => [
  ...fleetOf(lab),
  gatewayOf(lab, "one", [EGRESS], { of: ["client-1"], on: ["gateway-1"] }),
  gatewayOf(lab, "other", [OTHER], { of: ["client-2"], on: ["gateway-2"] }),
  policyOf("policy", gateway, addressesOf(lab, [STAYS, STRAYS])),
];

const shown = (lab: Lab, pod: string) => podCall(lab, pod, lab.outside[0]?.address ?? "").then(({ source }) => source);

/** The policy moves to the other gateway, of which the state knows nothing. */
async function movesUnrecorded({ lab, stack, change }: Scene): Promise<void> {
  const program = programOf(lab);
  await change([STAYS], () => stack.up(program("one")), { to: [EGRESS] });
  await change([STRAYS], () => change([STAYS], () => stack.unrecorded(() => stack.up(program("other")))), {
    to: [OTHER],
  });
}

scenario("a move of which the state knows nothing is drift, and the next up undoes it", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const program = programOf(lab);
  await movesUnrecorded(scene);
  const changed = (await stack.preview(program("one"))).filter(({ change: one }) => one !== "same");
  expect(changed.map(({ name, drift }) => [name, Object.keys(drift)])).toEqual([
    ["policy", ["client-1", "client-2", "gateway-1", "gateway-2"]],
  ]);
  await change([STAYS], () => change([STRAYS], () => stack.up(program("one")), { established: "cut" }), {
    to: [EGRESS],
  });
  expect([await shown(lab, STAYS), await shown(lab, STRAYS)]).toEqual([EGRESS, usualSource(lab, STRAYS)]);
  expect((await stack.preview(program("one"))).filter(({ change: one }) => one !== "same")).toEqual([]);
  await change([STAYS], () => stack.destroy(), { established: "cut" });
});

scenario("a destroy after a move of which the state knows nothing leaves nothing", {}, async (scene) => {
  await movesUnrecorded(scene);
  await scene.change([STAYS, STRAYS], () => scene.stack.destroy(), { established: "cut" });
});

/** The gateway grows: its new node has it, and one that it has had all along fails. */
async function growsHalf({ lab, stack, change }: Scene): Promise<readonly Declared[]> {
  const program = (of: readonly string[]) => [
    ...fleetOf(lab),
    gatewayOf(lab, "one", [EGRESS], { of, on: ["gateway-1"] }),
    policyOf("policy", "one", addressesOf(lab, [STAYS, STRAYS])),
  ];
  const before = program(["client-1"]);
  await change([STAYS], () => stack.up(before), { to: [EGRESS] });
  await breakCall(lab, "gateway-1", 1);
  const grown = program(["client-1", "client-2"]);
  const fails = () => expect(stack.up(grown)).rejects.toThrow(/node gateway-1: .* failed/);
  await change([STRAYS], fails, { to: [EGRESS] });
  await mendCalls(lab, "gateway-1");
  return before;
}

scenario("a gateway that grew half-way and is taken back leaves its new node", {}, async (scene) => {
  const { stack, change } = scene;
  const before = await growsHalf(scene);
  const changed = (await stack.preview(before)).filter(({ change: one }) => one !== "same");
  expect(changed.map(({ name, drift }) => [name, Object.keys(drift)])).toEqual([
    ["one", ["client-1", "client-2"]],
    ["policy", ["client-2"]],
  ]);
  await change([STRAYS], () => stack.up(before), { established: "cut" });
  expect((await stack.preview(before)).filter(({ change: one }) => one !== "same")).toEqual([]);
  await change([STAYS], () => stack.destroy(), { established: "cut" });
});

scenario("a destroy right after a gateway grew half-way leaves nothing", {}, async (scene) => {
  await growsHalf(scene);
  await scene.change([STAYS, STRAYS], () => scene.stack.destroy(), { established: "cut" });
});

scenario("a gateway that grew half-way, and then goes, leaves its new node too", {}, async (scene) => {
  const { lab, stack, change } = scene;
  await growsHalf(scene);
  await change([STAYS, STRAYS], () => stack.up(fleetOf(lab)), { established: "cut" });
  expect((await stack.preview(fleetOf(lab))).filter(({ change: one }) => one !== "same")).toEqual([]);
  await stack.destroy();
});
