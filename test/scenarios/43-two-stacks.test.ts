import { execOk, podCall } from "../lab";
import { Operator } from "../operator/operator";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { type Declared, Stack } from "../operator/stack";
import { testFull } from "../setup/skip";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const OTHER = "192.168.0.201";
const POD = "pod-client-1-1";

scenario("a second stack is refused in preview what the first one holds, with the holder named", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const fleet = fleetOf(lab).filter(({ name }) => name !== "client-2");
  const nodes = fleet.map(({ name }) => name);
  const gateway = gatewayOf(lab, "gateway", [EGRESS, OTHER], { of: ["client-1"] });
  const program = [...fleet, gateway, policyOf("policy", "gateway", addressesOf(lab, [POD]), { egressIP: EGRESS })];
  await change([POD], () => stack.up(program), { to: [EGRESS] });

  const operator = Operator.start(lab);
  try {
    const second = new Stack(operator, { project: "organization/test", stack: "second" });
    const enrol = (name: string, change: object = {}, settings: object = {}): Declared[] =>
      fleetOf(lab, { ...settings })
        .filter((one) => one.name === name)
        .map((one) => ({ ...one, inputs: (outputs) => ({ ...one.inputs(outputs), ...change }) }));
    const refusal = (one: readonly Declared[]) =>
      second.preview(one).then(
        () => "",
        (error: Error) => error.message,
      );
    const { mark } = stack.outputs("client-1");

    expect(await refusal(enrol("client-1"))).toBe(
      "client-1: node: this node is already enrolled by organization/test/dev/client-1. Use that NodeMark's ref, or destroy it first.",
    );
    expect(await refusal(enrol("client-2", { mark }))).toBe(
      `client-2: mark: ${mark} is already held by organization/test/dev/client-1 (node client-1) in fleet "lab". Leave mark out to get a free one.`,
    );
    expect(await refusal(enrol("client-2", {}, { vni: 77 }))).toMatch(
      /^client-2: fleet: fleet "lab" has other settings in its registry, written by organization\/test\/dev\//,
    );

    // The first stack's outputs, as a StackReference gives them.
    const shared: Declared["inputs"] = () => ({
      gateways: [stack.outputs("gateway-1").ref],
      clients: nodes.filter((name) => name !== "gateway-1").map((name) => stack.outputs(name).ref),
      egressIPs: [OTHER, "192.168.0.202"],
    });
    expect(await refusal([{ type: "egress-gateway", name: "mine", inputs: shared }])).toBe(
      `mine: egressIPs: ${OTHER} is already held by organization/test/dev/gateway in fleet "lab".`,
    );
    const overlapping = (sources: readonly string[]): Declared[] => [
      {
        type: "egress-policy",
        name: "mine",
        inputs: () => ({ gateway: stack.outputs("gateway").ref, sources: { cidrs: sources }, egressIP: OTHER }),
      },
    ];
    expect(await refusal(overlapping([lab.ranges.pods]))).toMatch(
      /^mine: sources: policies "mine" and "organization\/test\/dev\/policy" give 10\.0\.1\.11\/32 → \S+ two different egress IPs\./,
    );

    // What nobody holds is allowed, and neither stack sees the other as drift.
    const own = overlapping(addressesOf(lab, ["pod-client-1-2"]));
    await change(["pod-client-1-2"], () => second.up(own), { to: [OTHER] });
    expect((await podCall(lab, "pod-client-1-2", lab.outside[0]?.address ?? "")).source).toBe(OTHER);
    for (const [one, what] of [
      [stack, program],
      [second, own],
    ] as const)
      expect((await one.preview(what)).filter(({ change }) => change !== "same")).toEqual([]);
    await change(["pod-client-1-2"], () => second.destroy(), { established: "cut" });
  } finally {
    await operator.stop();
  }
  await change([POD], () => stack.destroy(), { established: "cut" });
});

scenario(
  "gateways of two stacks share a node's routing tables, a leg each, and the second is refused in preview what is not left",
  {},
  async (scene) => {
    const { lab, stack, change } = scene;
    const third = "192.168.0.202";
    const theirPod = "pod-client-1-2";
    const program = (count: number): Declared[] => [
      ...fleetOf(lab, { tables: { start: 4000, count } }).filter(({ name }) => name !== "client-2"),
      gatewayOf(lab, "gateway", [EGRESS], { on: ["gateway-1"], of: ["client-1"] }),
      policyOf("policy", "gateway", addressesOf(lab, [POD])),
    ];
    await change([POD], () => stack.up(program(1)), { to: [EGRESS] });

    const operator = Operator.start(lab);
    try {
      const second = new Stack(operator, { project: "organization/test", stack: "second" });
      const elsewhere = fleetOf(lab, { tables: { start: 5000, count: 1 } }).filter(({ name }) => name === "client-2");
      await expect(second.preview(elsewhere)).rejects.toThrow(
        /^client-2: fleet: fleet "lab" has other settings in its registry, written by organization\/test\/dev\/\S+ \(node \S+\): .*"tables":\{"count":1,"start":4000\}/,
      );
      const refs = (...names: string[]) => names.map((name) => stack.outputs(name).ref);
      const theirs: Declared[] = [
        {
          type: "egress-gateway",
          name: "theirs",
          inputs: () => ({ gateways: refs("gateway-2"), clients: refs("client-1"), egressIPs: [third] }),
        },
        policyOf("theirs too", "theirs", addressesOf(lab, [theirPod])),
      ];
      await expect(second.preview(theirs)).rejects.toThrow(
        "theirs: clients[0]: node client-1 needs 2 routing tables, one for each other node that its gateways join it with, and fleet.tables has 1. Raise fleet.tables.count.",
      );
      await stack.up(program(2));
      await change([theirPod], () => second.up(theirs), { to: [third] });
      const { tables } = JSON.parse(await execOk(lab, "client-1", ["cat", "/var/lib/pulumi-egress/node.json"]));
      expect(Object.values(tables).sort()).toEqual([4000, 4001]);
      const shows = async (pod: string) => (await podCall(lab, pod, lab.outside[0]?.address ?? "")).source;
      expect([await shows(POD), await shows(theirPod)]).toEqual([EGRESS, third]);
      for (const planned of [await stack.preview(program(2)), await second.preview(theirs)])
        expect(planned.filter((one) => one.change !== "same")).toEqual([]);
      await change([theirPod], () => second.destroy(), { established: "cut" });
      expect([await shows(POD), (await stack.preview(program(2))).filter((one) => one.change !== "same")]).toEqual([
        EGRESS,
        [],
      ]);
    } finally {
      await operator.stop();
    }
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
  testFull,
);
