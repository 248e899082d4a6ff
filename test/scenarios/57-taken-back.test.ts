import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, type Scene, scenario, usualSource } from "./scenario";

const [EGRESS, OTHER, THIRD] = ["192.168.0.200", "192.168.0.201", "192.168.0.202"] as const;
/** On the client node of the one gateway, and on that of the other. */
const [STAYS, STRAYS] = ["pod-client-1-1", "pod-client-2-1"] as const;

const bothGateways = (lab: Lab, clients: readonly string[] = ["client-2"]) => [
  gatewayOf(lab, "one", [EGRESS], { of: ["client-1"], on: ["gateway-1"] }),
  gatewayOf(lab, "other", [OTHER], { of: clients, on: ["gateway-2"] }),
];

const programOf =
  (lab: Lab, fleet = fleetOf(lab)) =>
  (gateway: string) => [...fleet, ...bothGateways(lab), policyOf("policy", gateway, addressesOf(lab, [STAYS, STRAYS]))];

const shown = (lab: Lab, pod: string) => podCall(lab, pod, lab.outside[0]?.address ?? "").then(({ source }) => source);

const changedBy = async ({ stack }: Scene, program: readonly Declared[]) =>
  (await stack.preview(program)).filter(({ change: one }) => one !== "same");

/** A command of this node fails while the policy moves: meanwhile its pods may show both, then each one address. */
async function failsAt(
  scene: Scene,
  node: string,
  program: readonly Declared[],
  after: readonly string[],
): Promise<void> {
  const { lab, stack, oracle } = scene;
  const begun = [STAYS, STRAYS].map((pod) => oracle.changing(pod, [OTHER], { established: "cut-paths" }));
  await breakCall(lab, node, 1);
  await expect(stack.up(program)).rejects.toThrow(new RegExp(`node ${node}: .* failed`));
  await mendCalls(lab, node);
  begun.forEach((one, i) => {
    one.done([after[i] ?? ""]);
  });
}

/** Where it had come to it is drift, and goes. */
async function takenBack(scene: Scene, fleet: Declared[], owners: readonly string[]): Promise<void> {
  const { lab, stack, change } = scene;
  const program = programOf(lab, fleet);
  await change([STAYS], () => stack.up(program("one")), { to: [EGRESS] });
  await failsAt(scene, "client-1", program("other"), [EGRESS, OTHER]);
  expect([await shown(lab, STAYS), await shown(lab, STRAYS)]).toEqual([EGRESS, OTHER]);
  const changed = await changedBy(scene, program("one"));
  expect(owners).toEqual(expect.arrayContaining(changed.map(({ name }) => name)));
  expect(new Set(changed.flatMap(({ drift }) => Object.keys(drift)))).toEqual(new Set(["client-2", "gateway-2"]));
  await change([STRAYS], () => stack.up(program("one")), { established: "cut" });
  expect([await shown(lab, STAYS), await shown(lab, STRAYS)]).toEqual([EGRESS, usualSource(lab, STRAYS)]);
  expect(await changedBy(scene, program("one"))).toEqual([]);
}

scenario("a move to another gateway that fails and is taken back is undone where it had come to", {}, async (scene) => {
  const { lab, stack, change } = scene;
  await takenBack(scene, fleetOf(lab), ["policy"]);
  await failsAt(scene, "client-1", programOf(lab)("other"), [EGRESS, OTHER]);
  await change([STAYS, STRAYS], () => stack.destroy(), { established: "cut" });
});

type Outputs = Parameters<Declared["inputs"]>[0];

/** The other gateway's nodes are the last of a longer chain than the policy's: the engine comes to it only after the policy. */
function chained(lab: Lab): Declared[] {
  const before: Readonly<Record<string, string>> = {
    "client-2": "client-1",
    "gateway-2": "client-2",
  };
  const order = ["gateway-1", "client-1", ...Object.keys(before)];
  return fleetOf(lab)
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
    .map((one) => {
      const last = before[one.name];
      return last === undefined
        ? one
        : { ...one, inputs: (of: Outputs) => ({ ...one.inputs(of), uplink: of(last).uplink }) };
    });
}

scenario("so is one whose other gateway the engine comes to only after it", {}, async (scene) => {
  const { lab, stack, change } = scene;
  // And where it comes to the node only after both, that one's NodeMark tells it.
  await takenBack(scene, chained(lab), ["policy", "other", "gateway-2"]);
  await change([STAYS], () => stack.destroy(), { established: "cut" });
});

scenario("so is a killed run that gave a gateway a node which the engine comes to only after it", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const program = (of: readonly string[]) => [
    ...chained(lab),
    gatewayOf(lab, "one", [EGRESS], { of, on: ["gateway-1"] }),
    policyOf("policy", "one", addressesOf(lab, [STAYS, STRAYS])),
  ];
  const small = program(["client-1"]);
  await change([STAYS], () => stack.up(small), { to: [EGRESS] });
  await change([STRAYS], () => stack.unrecorded(() => stack.up(program(["client-1", "client-2"]))), { to: [EGRESS] });
  const changed = await changedBy(scene, small);
  expect(changed.flatMap(({ drift }) => Object.keys(drift))).toContain("client-2");
  await change([STRAYS], () => stack.up(small), { established: "cut" });
  expect(await changedBy(scene, small)).toEqual([]);
  await change([STAYS], () => stack.destroy(), { established: "cut" });
});

scenario("so is one that brought the other gateway as well", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const small = [
    ...fleetOf(lab).filter(({ name }) => ["client-1", "gateway-1"].includes(name)),
    ...bothGateways(lab).filter(({ name }) => name === "one"),
    policyOf("policy", "one", addressesOf(lab, [STAYS, STRAYS])),
  ];
  await change([STAYS], () => stack.up(small), { to: [EGRESS] });
  await failsAt(scene, "client-1", programOf(lab)("other"), [EGRESS, OTHER]);
  await change([STRAYS], () => stack.up(small), { established: "cut" });
  expect(await shown(lab, STAYS)).toBe(EGRESS);
  await change([STAYS], () => stack.destroy(), { established: "cut" });
});

const shared =
  (lab: Lab) =>
  (at: string, ...clients: string[]) => [
    ...fleetOf(lab),
    ...bothGateways(lab, clients),
    policyOf("policy", at, addressesOf(lab, [STAYS])),
  ];

scenario(
  "a failed move is taken back while the other gateway gains a node that they share, or loses it",
  { intervalMs: 50, senders: [STAYS] },
  async (scene) => {
    const { lab, stack, change } = scene;
    const program = shared(lab);
    await change([STAYS], () => stack.up(program("one", "client-2")), { to: [EGRESS] });
    await failsAt(scene, "client-1", program("other", "client-2"), [EGRESS, usualSource(lab, STRAYS)]);
    await stack.up(program("one", "client-1", "client-2"));
    await failsAt(scene, "client-2", program("other", "client-1", "client-2"), [OTHER, usualSource(lab, STRAYS)]);
    await change([STAYS], () => stack.up(program("one", "client-2")), { to: [EGRESS] });
    expect(await shown(lab, STAYS)).toBe(EGRESS);
    await change([STAYS], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "a policy moves to another gateway while its former one loses a node that they share",
  { intervalMs: 50, senders: [STAYS] },
  async ({ lab, stack, change }) => {
    const program = shared(lab);
    await change([STAYS], () => stack.up(program("other", "client-1", "client-2")), { to: [OTHER] });
    await change([STAYS], () => stack.up(program("one", "client-2")), { to: [EGRESS] });
    await change([STAYS], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "a policy that is taken back to a node which the other gateway shares stays there, whichever is updated first",
  { intervalMs: 50, senders: [STAYS] },
  async (scene) => {
    const { lab, stack, change } = scene;
    for (const fleet of [fleetOf(lab), chained(lab)]) {
      const program = (at: string) => [
        ...fleet,
        ...bothGateways(lab, ["client-1", "client-2"]),
        policyOf("policy", at, addressesOf(lab, [STAYS])),
      ];
      await change([STAYS], () => stack.up(program("one")), { to: [EGRESS] });
      await failsAt(scene, "client-2", program("other"), [OTHER, usualSource(lab, STRAYS)]);
      await change([STAYS], () => stack.up(program("one")), { to: [EGRESS] });
      expect(await shown(lab, STAYS)).toBe(EGRESS);
      expect(await changedBy(scene, program("one"))).toEqual([]);
      await change([STAYS], () => stack.destroy(), { established: "cut" });
    }
  },
);

const PASSES = "pod-client-1-2";

scenario(
  "a pod that passes to a policy which fails to take what it selects is never selected by none",
  { intervalMs: 50, senders: [STAYS, PASSES] },
  async ({ lab, stack, oracle, change }) => {
    const program = (isMoved: boolean) => [
      ...fleetOf(lab),
      gatewayOf(lab, "one", [EGRESS, THIRD], { of: ["client-1"], on: ["gateway-1"] }),
      gatewayOf(lab, "other", [OTHER], { of: ["client-1", "client-2"], on: ["gateway-2"] }),
      policyOf("p", isMoved ? "other" : "one", addressesOf(lab, isMoved ? [STAYS, PASSES] : [STAYS])),
      policyOf("q", "one", addressesOf(lab, isMoved ? [STRAYS] : [STRAYS, PASSES]), { egressIP: THIRD }),
    ];
    await change([STAYS], () => change([PASSES], () => stack.up(program(false)), { to: [THIRD] }), { to: [EGRESS] });
    const begun = [STAYS, PASSES].map((pod) => oracle.changing(pod, [OTHER], { established: "cut-paths" }));
    for (const node of ["gateway-2", "client-2", "client-1"]) {
      await breakCall(lab, node, 1);
      await expect(stack.up(program(true))).rejects.toThrow(new RegExp(`node ${node}: .* failed`));
      await mendCalls(lab, node);
      expect([THIRD, OTHER]).toContain(await shown(lab, PASSES));
    }
    await stack.up(program(true));
    for (const one of begun) one.done([OTHER]);
    expect([await shown(lab, STAYS), await shown(lab, PASSES)]).toEqual([OTHER, OTHER]);
    await change([STAYS, PASSES], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "nor where the other gateway is slow, or fails, so that the policy comes late or never",
  { intervalMs: 50, senders: [STAYS, PASSES] },
  async ({ lab, stack, oracle, change }) => {
    const program = (isMoved: boolean) => [
      ...fleetOf(lab),
      gatewayOf(lab, "one", [EGRESS], { of: ["client-1"], on: ["gateway-1"] }),
      gatewayOf(lab, "other", isMoved ? [OTHER, THIRD] : [OTHER], { of: ["client-1", "client-2"], on: ["gateway-2"] }),
      policyOf("p", "other", addressesOf(lab, isMoved ? [STRAYS, PASSES] : [STRAYS]), { egressIP: OTHER }),
      policyOf("q", "one", addressesOf(lab, isMoved ? [STAYS] : [STAYS, PASSES])),
    ];
    await change([STAYS, PASSES], () => stack.up(program(false)), { to: [EGRESS] });
    await breakCall(lab, "gateway-2", 1);
    await expect(stack.up(program(true))).rejects.toThrow(/node gateway-2: .* failed/);
    await mendCalls(lab, "gateway-2");
    expect(await shown(lab, PASSES)).toBe(EGRESS);
    const slow = '#!/bin/sh\nsleep 3\nexec /usr/sbin/iptables-restore "$@"\n';
    await execOk(
      lab,
      "gateway-2",
      ["sh", "-ec", "cd /usr/local/sbin; cat >iptables-restore; chmod +x iptables-restore"],
      {
        input: slow,
      },
    );
    const begun = oracle.changing(PASSES, [OTHER], { established: "cut-paths" });
    await stack.up(program(true));
    begun.done([OTHER]);
    await execOk(lab, "gateway-2", ["rm", "/usr/local/sbin/iptables-restore"]);
    expect([await shown(lab, STAYS), await shown(lab, PASSES)]).toEqual([EGRESS, OTHER]);
    await change([STAYS, PASSES], () => stack.destroy(), { established: "cut" });
  },
);
