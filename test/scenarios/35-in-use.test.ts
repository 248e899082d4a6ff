import { podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const SPARE = "192.168.0.201";
const POD = "pod-client-1-1";

scenario(
  "a node, gateway or egress IP in use is not taken away; with its users it goes in the right order",
  {},
  async (scene) => {
    const { lab, stack, change } = scene;
    const policy = policyOf("policy", "gateway", addressesOf(lab, [POD]), { egressIP: EGRESS });
    const program = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS, SPARE]), policy];
    await change([POD], () => stack.up(program), { to: [EGRESS] });
    const without = (...names: string[]) => program.filter(({ name }) => !names.includes(name));
    const works = async () => expect((await podCall(lab, POD, lab.outside[0]?.address ?? "")).source).toBe(EGRESS);

    await expect(stack.up(without("gateway"))).rejects.toThrow(
      "gateway gateway: still used by organization/test/dev/policy",
    );
    await works();
    await expect(stack.up(without("gateway-1"))).rejects.toThrow(
      /node gateway-1: still used by .*policy organization\/test\/dev\/policy/,
    );
    await works();
    const smaller = [...fleetOf(lab), gatewayOf(lab, "gateway", [SPARE]), policy];
    await expect(stack.preview(smaller)).rejects.toThrow(/^policy: egressIP: .*192\.168\.0\.200/);
    await works();
    expect((await stack.preview(program)).filter(({ change }) => change !== "same")).toEqual([]);

    // The policy moves in the same run: the address is let go once nobody uses it.
    const moved = policyOf("policy", "gateway", addressesOf(lab, [POD]), { egressIP: SPARE, established: "cut" });
    await change([POD], () => stack.up([...fleetOf(lab), gatewayOf(lab, "gateway", [SPARE]), moved]), {
      to: [SPARE],
      established: "cut",
    });
    expect((await podCall(lab, POD, lab.outside[0]?.address ?? "")).source).toBe(SPARE);
    await change([POD], () => stack.up([]), { established: "cut" });
  },
);
