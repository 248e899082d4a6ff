import { execOk, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
/** On a client node, on the gateway node, on another gateway node. */
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const OUTSIDE = "203.0.113.10";

scenario("a SYN that is repeated after its path is gone is refused, not sent by another source", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const nodes = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS])];
  const program = [...nodes, policyOf("policy", "gateway", addressesOf(lab, PODS))];
  const loseAnswers = (how: "-I" | "-D") =>
    execOk(lab, "router", ["iptables", how, "FORWARD", "-s", OUTSIDE, "-d", EGRESS, "-j", "DROP"]);

  for (const remove of [() => stack.up(nodes), () => stack.destroy()]) {
    await change(PODS, () => stack.up(program), { to: [EGRESS] });
    await loseAnswers("-I");
    const calls = PODS.map((pod) => podCall(lab, pod, OUTSIDE, { timeoutMs: 30_000 }));
    await change(PODS, remove, { established: "cut" });
    expect((await Promise.all(calls)).map(({ error }) => error)).toEqual(PODS.map(() => "refused"));
    await loseAnswers("-D");
  }
});
