import { podCall, podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];

scenario(
  "the gateway node is another one, under traffic; no gateway node at all is refused",
  { senders: PODS, unbroken: true },
  async ({ lab, stack, change }) => {
    const program = (...on: string[]) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS], { on, of: lab.nodes.map(({ name }) => name) }),
      policyOf("policy", "gateway", addressesOf(lab, PODS), { established: "cut" }),
    ];
    const holdAll = () => Promise.all(PODS.map((pod) => podHold(lab, pod, "203.0.113.10")));
    await change(PODS, () => stack.up(program("gateway-1")), { to: [EGRESS], established: "cut" });
    for (const other of ["gateway-2", "gateway-1"]) {
      const held = await holdAll();
      await change(PODS, () => stack.up(program(other)), { to: [EGRESS], established: "cut" });
      expect(await Promise.all(held.map((one) => one.say()))).toEqual(PODS.map(() => "reset"));
      for (const pod of PODS) expect(await podCall(lab, pod, "203.0.113.10")).toMatchObject({ source: EGRESS });
    }
    await expect(stack.preview(program())).rejects.toThrow(/^gateway: gateways: /);
    await change(PODS, () => stack.destroy(), { established: "cut" });
  },
);
