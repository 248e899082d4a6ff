import { execOk, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const REMOTE = "pod-client-1-1";
const LOCAL = "pod-gateway-1-1";

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

scenario("a NetworkPolicy goes on dropping what a selected pod may not reach", {}, async ({ lab, stack, oracle }) => {
  const [allowed = "", denied = ""] = lab.outside.map(({ address }) => address);
  oracle.expect([REMOTE, LOCAL], { sources: [EGRESS], targets: [allowed] });
  oracle.expect([REMOTE, LOCAL], { sources: [], targets: [denied] });
  const nodes = { "client-1": REMOTE, "gateway-1": LOCAL };
  const restore = (node: string, lines: readonly string[]) =>
    execOk(lab, node, ["iptables-restore", "--noflush"], { input: lines.join("\n") });
  const calls = async () => {
    const seen = [REMOTE, LOCAL].flatMap((pod) => [
      podCall(lab, pod, allowed),
      podCall(lab, pod, denied, { timeoutMs: 700 }),
      podCall(lab, pod, denied, { proto: "udp", timeoutMs: 700 }),
    ]);
    return (await Promise.all(seen)).map(({ source, error }) => source ?? error);
  };
  for (const [node, pod] of Object.entries(nodes))
    await restore(node, networkPolicy(addressesOf(lab, [pod])[0] ?? "", allowed));
  const gateway = gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } });
  await stack.up([...fleetOf(lab), gateway, policyOf("policy", "gateway", addressesOf(lab, [REMOTE, LOCAL]))]);
  expect(await calls()).toEqual([EGRESS, "timeout", "timeout", EGRESS, "timeout", "timeout"]);
  for (const node of Object.keys(nodes)) await restore(node, GONE);
  oracle.expect([REMOTE, LOCAL], { sources: [EGRESS] });
  expect(await calls()).toEqual([EGRESS, EGRESS, EGRESS, EGRESS, EGRESS, EGRESS]);
  await stack.destroy();
});
