import { execOk } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";
import { fleet } from "./tamper/fleet";

const POD = "pod-client-1-1";
/** A gateway's programs are at the devices of those whom its policies select. */
const ITS_PROGRAMS = process.env.EGW_DATAPATH === "bpf" ? ["gateway"] : [];
/** What may be lost of a node's manifest, and the resources that a preview then changes. */
const LOSSES: readonly [string, string, readonly string[]][] = [
  ["client-1", "claims/policy-*", ["client-1", "first", ...ITS_PROGRAMS, "second"]],
  ["client-1", "node.json", ["client-1"]],
  ["client-1", "claims/node-*", ["client-1"]],
  ["client-1", "*", ["client-1", "first", "gateway", "second"]],
  ["gateway-1", "claims/policy-*", ["first", ...ITS_PROGRAMS, "gateway-1", "second"]],
];

scenario(
  "a manifest that is lost is seen and put together again, and lets nothing out meanwhile",
  { senders: [POD], unbroken: true, intervalMs: 50, timeoutMs: 300_000 },
  async (scene) => {
    const { lab, stack, oracle } = scene;
    const { program, selected } = fleet(lab);
    await scene.change([POD], () => stack.up(program), { to: ["192.168.0.200"] });
    for (const [pod, egressIP] of selected) oracle.expect(pod.name, { sources: [egressIP] });
    const changes = async () =>
      (await stack.preview(program))
        .filter(({ change }) => change !== "same")
        .map(({ name }) => name)
        .sort();
    for (const [node, files, names] of LOSSES) {
      oracle.note(`${node} loses ${files}`);
      await execOk(lab, node, ["sh", "-c", `rm -r /var/lib/pulumi-egress/${files}`]);
      expect({ node, files, names: await changes() }).toEqual({ node, files, names });
      // A leg that goes with the gateway's claim comes back with it: till then nothing leaves.
      await scene.change([POD], () => stack.up(program), { to: ["192.168.0.200"] });
      expect({ node, files, names: await changes() }).toEqual({ node, files, names: [] });
    }
    await scene.change([POD], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "a node whose enrolment is lost is not emptied by others: they are refused, and nothing leaves otherwise",
  { senders: [POD], unbroken: true, intervalMs: 50 },
  async ({ lab, stack, change }) => {
    const program = (...pods: readonly string[]) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", ["192.168.0.200"]),
      policyOf("policy", "gateway", addressesOf(lab, pods)),
    ];
    await change([POD], () => stack.up(program(POD)), { to: ["192.168.0.200"] });
    const refused =
      /node client-1: it is not enrolled, or its enrolment is lost, so nothing was changed\. Run pulumi up of the stack/;
    for (const files of ["claims/node-*", "claims", "*"]) {
      await execOk(lab, "client-1", ["sh", "-c", `rm -r /var/lib/pulumi-egress/${files}`]);
      await expect(stack.up(program(POD, "pod-client-1-2"), { target: ["policy"] })).rejects.toThrow(refused);
      await expect(stack.destroy()).rejects.toThrow(refused);
      await change([POD], () => stack.up(program(POD)), { to: ["192.168.0.200"] });
    }
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);
