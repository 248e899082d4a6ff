import { type Lab, labDump, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { base } from "./profiles";
import { addressesOf, scenarioOnProfiles, usualSource } from "./scenario";

const EGRESS = "192.168.0.200";
const SELECTED = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];

/** All nodes as text, but for the manifest's own files and the memory of connections that were cut. */
async function nodesOf(lab: Lab): Promise<string[]> {
  const dumps = await Promise.all(lab.nodes.map(({ name }) => labDump(lab, name)));
  const own = /var\/lib\/pulumi-egress\/|^add egw-cut(-opening)? /;
  return dumps.flatMap((dump) => dump.split("\n").filter((line) => !own.test(line)));
}

scenarioOnProfiles(
  "a policy that is deleted leaves the nodes as they were before it, and its pods with their own node's address",
  [base],
  { senders: SELECTED, unbroken: true },
  async ({ lab, stack, change }) => {
    const without = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } })];
    const program = [...without, policyOf("policy", "gateway", addressesOf(lab, SELECTED))];
    await stack.up(without);
    const before = await nodesOf(lab);
    await change(SELECTED, () => stack.up(program), { to: [EGRESS] });
    for (const pod of SELECTED) expect(await podCall(lab, pod, "203.0.113.10")).toMatchObject({ source: EGRESS });
    await change(SELECTED, () => stack.up(without), { established: "cut" });
    expect(await nodesOf(lab)).toEqual(before);
    for (const pod of SELECTED) {
      expect(await podCall(lab, pod, "203.0.113.10")).toMatchObject({ source: usualSource(lab, pod) });
    }
    await change(SELECTED, () => stack.up(program), { to: [EGRESS] });
    await change(SELECTED, () => stack.destroy(), { established: "cut" });
  },
);
