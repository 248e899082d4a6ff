import { setTimeout as sleep } from "node:timers/promises";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, type Scene, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];

const backAndForth =
  (times: number) =>
  async ({ lab, stack, oracle, change }: Scene): Promise<void> => {
    const program = (node: string) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: node } }),
      policyOf("policy", "gateway", addressesOf(lab, PODS), { established: "cut" }),
    ];
    await change(PODS, () => stack.up(program("gateway-1")), { to: [EGRESS], established: "cut" });
    for (let i = 1; i <= times; i++) {
      await change(PODS, () => stack.up(program(`gateway-${(i % 2) + 1}`)), { to: [EGRESS], established: "cut" });
      // What works between moves must work again after each.
      await sleep(200);
    }
    await change(PODS, () => stack.destroy(), { established: "cut" });
    const { attempts } = await oracle.stop();
    expect(attempts.worked).toBeGreaterThan(attempts.failed);
  };

const name = (times: string) =>
  `an egress IP that moves ${times} between gateway nodes is the only source that is seen`;

scenario(name("there and back"), { senders: PODS, unbroken: true }, backAndForth(2));
scenario(name("20 times"), { senders: PODS, unbroken: true, timeoutMs: 300_000 }, backAndForth(20));
