import { execOk, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const REMOTE = "pod-client-1-1";
const LOCAL = "pod-gateway-1-1";
const PODS = [REMOTE, LOCAL];

/** What a CNI programs for a NetworkPolicy: a chain for the pod's outgoing traffic, one target allowed, the rest dropped. */
const networkPolicy = (pod: string, target: string) => [
  "*filter",
  ":NP-OUT - [0:0]",
  "-I FORWARD 1 -j NP-OUT",
  `-A NP-OUT -s ${pod} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`,
  `-A NP-OUT -s ${pod} -d ${target} -j RETURN`,
  `-A NP-OUT -s ${pod} -j DROP`,
  "COMMIT",
  "",
];
const GONE = ["*filter", "-D FORWARD -j NP-OUT", "-F NP-OUT", "-X NP-OUT", "COMMIT", ""];

scenario(
  "a NetworkPolicy goes on dropping what a selected pod may not reach",
  {},
  async ({ lab, stack, oracle, change }) => {
    const [allowed = "", denied = ""] = lab.outside.map(({ address }) => address);
    const nodes = { "client-1": REMOTE, "gateway-1": LOCAL };
    const restore = (node: string, lines: readonly string[]) =>
      execOk(lab, node, ["iptables-restore", "--noflush"], { input: lines.join("\n") });
    const calls = async () => {
      const seen = PODS.flatMap((pod) => [
        podCall(lab, pod, allowed),
        podCall(lab, pod, denied, { timeoutMs: 700 }),
        podCall(lab, pod, denied, { proto: "udp", timeoutMs: 700 }),
      ]);
      return (await Promise.all(seen)).map(({ source, error }) => source ?? error);
    };
    for (const [node, pod] of Object.entries(nodes))
      await restore(node, networkPolicy(addressesOf(lab, [pod])[0] ?? "", allowed));
    const gateway = gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } });
    // What is open already stays so.
    oracle.expect(PODS, { sources: [], targets: [denied] });
    const program = [...fleetOf(lab), gateway, policyOf("policy", "gateway", addressesOf(lab, PODS))];
    await change(PODS, () => stack.up(program), { to: [EGRESS], targets: [allowed] });
    expect(await calls()).toEqual([EGRESS, "timeout", "timeout", EGRESS, "timeout", "timeout"]);
    const open = () => Promise.all(Object.keys(nodes).map((node) => restore(node, GONE)));
    await change(PODS, open, { to: [EGRESS] });
    expect(await calls()).toEqual([EGRESS, EGRESS, EGRESS, EGRESS, EGRESS, EGRESS]);
    await change(PODS, () => stack.destroy(), { established: "cut" });
  },
);
