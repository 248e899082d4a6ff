import { execOk, podCall, podSendRaw } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { hexOf, SYN, tcpPacket } from "./packets";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
/** On a client node, on the gateway node, on another gateway node. */
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
/** The outside host whose answers are lost, and the one whose answers the pods reset. */
const [SILENT, RESET] = ["203.0.113.10", "203.0.114.10"] as const;

scenario(
  "a connection that just opens when its path goes is refused, not opened by another source",
  {},
  async (scene) => {
    const { lab, stack, change } = scene;
    const nodes = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS])];
    const program = [...nodes, policyOf("policy", "gateway", addressesOf(lab, PODS))];
    const answers = (how: "-I" | "-D") =>
      execOk(lab, "router", ["iptables", how, "FORWARD", "-s", SILENT, "-d", EGRESS, "-j", "DROP"]);
    /** No socket of the pod wants the answer, so its kernel resets the connection; conntrack keeps it as closed for 10 s. */
    const sendSyns = (port: number) =>
      Promise.all(
        PODS.map((pod, i) => {
          const ends = { src: addressesOf(lab, [pod])[0] ?? "", sport: port + i, dst: RESET, dport: 7001 };
          return podSendRaw(lab, pod, hexOf([tcpPacket(ends, SYN)]));
        }),
      );

    for (const [round, remove] of [() => stack.up(nodes), () => stack.destroy()].entries()) {
      await change(PODS, () => stack.up(program), { to: [EGRESS] });
      await answers("-I");
      const calls = PODS.map((pod) => podCall(lab, pod, SILENT, { timeoutMs: 30_000 }));
      const port = 5000 + round * PODS.length;
      await sendSyns(port);
      await change(PODS, remove, { established: "cut" });
      await sendSyns(port);
      expect((await Promise.all(calls)).map(({ error }) => error)).toEqual(PODS.map(() => "refused"));
      await answers("-D");
    }
  },
);
