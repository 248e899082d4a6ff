import { type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, type Scene, scenario, usualSource } from "./scenario";

const [EGRESS, OTHER] = ["192.168.0.200", "192.168.0.201"] as const;
/** On the client node of the one gateway, and on that of the other. */
const [STAYS, STRAYS] = ["pod-client-1-1", "pod-client-2-1"] as const;

const bothGateways = (lab: Lab, clients: readonly string[] = ["client-2"]) => [
  gatewayOf(lab, "one", [EGRESS], { of: ["client-1"], on: ["gateway-1"] }),
  gatewayOf(lab, "other", [OTHER], { of: clients, on: ["gateway-2"] }),
];

const programOf = (lab: Lab) => (gateway: string) => [
  ...fleetOf(lab),
  ...bothGateways(lab),
  policyOf("policy", gateway, addressesOf(lab, [STAYS, STRAYS])),
];

const shown = (lab: Lab, pod: string) => podCall(lab, pod, lab.outside[0]?.address ?? "").then(({ source }) => source);

const changedBy = async ({ stack }: Scene, program: readonly Declared[]) =>
  (await stack.preview(program)).filter(({ change: one }) => one !== "same");

/** A command of this node fails while the policy moves: meanwhile its pods may show both, then what they showed before. */
async function failsAt(scene: Scene, node: string, program: readonly Declared[]): Promise<void> {
  const { lab, stack, oracle } = scene;
  const begun = [STAYS, STRAYS].map((pod) => oracle.changing(pod, [OTHER], { established: "cut-paths" }));
  await breakCall(lab, node, 1);
  await expect(stack.up(program)).rejects.toThrow(
    new RegExp(
      `node ${node}: .* failed[\\s\\S]*policy could not be moved to gateway other. It is on gateway one again`,
    ),
  );
  await mendCalls(lab, node);
  begun[0]?.done([EGRESS]);
  begun[1]?.done([usualSource(lab, STRAYS)]);
}

scenario("a move to another gateway that fails half-way is taken back at once", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const program = programOf(lab);
  await change([STAYS], () => stack.up(program("one")), { to: [EGRESS] });
  for (const node of ["client-1", "client-2", "gateway-2"]) {
    await failsAt(scene, node, program("other"));
    expect([await shown(lab, STAYS), await shown(lab, STRAYS)]).toEqual([EGRESS, usualSource(lab, STRAYS)]);
    expect(await changedBy(scene, program("one"))).toEqual([]);
  }
  await change([STAYS], () => change([STRAYS], () => stack.up(program("other")), { to: [OTHER] }), {
    established: "cut",
  });
  expect([await shown(lab, STAYS), await shown(lab, STRAYS)]).toEqual([usualSource(lab, STAYS), OTHER]);
  await change([STRAYS], () => stack.destroy(), { established: "cut" });
});

/** The other gateway's client node is the last of a longer chain than the policy's: the engine comes to it only after the policy. */
const chained = (lab: Lab) =>
  [...fleetOf(lab)]
    .sort((a, b) => Number(a.name === "client-2") - Number(b.name === "client-2"))
    .map((one) =>
      one.name === "client-2"
        ? { ...one, inputs: (of: Outputs) => ({ ...one.inputs(of), uplink: of("gateway-2").uplink }) }
        : one.name === "gateway-2"
          ? { ...one, inputs: (of: Outputs) => ({ ...one.inputs(of), uplink: of("client-1").uplink }) }
          : one,
    );
type Outputs = Parameters<Declared["inputs"]>[0];

scenario(
  "a destroy right after a move that failed leaves nothing, however deep the other gateway is",
  {},
  async (scene) => {
    const { lab, stack, change } = scene;
    const program = (at: string) => [
      ...chained(lab),
      ...bothGateways(lab),
      policyOf("policy", at, addressesOf(lab, [STAYS, STRAYS])),
    ];
    await change([STAYS], () => stack.up(program("one")), { to: [EGRESS] });
    await failsAt(scene, "client-1", program("other"));
    await change([STAYS], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "an edit that brought the other gateway as well, and failed, is taken out of the program again",
  {},
  async (scene) => {
    const { lab, stack, change } = scene;
    const small = [
      ...fleetOf(lab).filter(({ name }) => ["client-1", "gateway-1"].includes(name)),
      ...bothGateways(lab).filter(({ name }) => name === "one"),
      policyOf("policy", "one", addressesOf(lab, [STAYS, STRAYS])),
    ];
    await change([STAYS], () => stack.up(small), { to: [EGRESS] });
    await failsAt(scene, "client-1", programOf(lab)("other"));
    await stack.up(small);
    expect(await shown(lab, STAYS)).toBe(EGRESS);
    await change([STAYS], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "a failed move is taken back while the other gateway gains a node that it shares, or loses it",
  { intervalMs: 50, senders: [STAYS] },
  async (scene) => {
    const { lab, stack, change } = scene;
    const program = (at: string, ...clients: string[]) => [
      ...fleetOf(lab),
      ...bothGateways(lab, clients),
      policyOf("policy", at, addressesOf(lab, [STAYS])),
    ];
    await change([STAYS], () => stack.up(program("one", "client-2")), { to: [EGRESS] });
    await failsAt(scene, "client-1", program("other", "client-2"));
    await stack.up(program("one", "client-1", "client-2"));
    await failsAt(scene, "client-2", program("other", "client-1", "client-2"));
    await stack.up(program("one", "client-2"));
    expect(await shown(lab, STAYS)).toBe(EGRESS);
    await change([STAYS], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "a policy moves to another gateway while its former one loses a node that they share",
  { intervalMs: 50, senders: [STAYS] },
  async ({ lab, stack, change }) => {
    const program = (at: string, ...clients: string[]) => [
      ...fleetOf(lab),
      ...bothGateways(lab, clients),
      policyOf("policy", at, addressesOf(lab, [STAYS])),
    ];
    await change([STAYS], () => stack.up(program("other", "client-1", "client-2")), { to: [OTHER] });
    await change([STAYS], () => stack.up(program("one", "client-2")), { to: [EGRESS] });
    await change([STAYS], () => stack.destroy(), { established: "cut" });
  },
);
