import { podCall } from "../lab";
import { Operator } from "../operator/operator";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { type Declared, Stack } from "../operator/stack";
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
