import { exec, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const RUN = ["sh", "/var/lib/pulumi-egress/restore/run"];
/** What a reboot takes: everything in the kernel, nothing on disk. */
const REBOOT =
  "iptables-save -t mangle | grep -q EGRESS && for t in mangle nat filter; do iptables-save -t $t | grep -v EGRESSGATEWAY | iptables-restore; done; " +
  "ip -4 rule flush protocol 38; ip -4 route flush table all proto 38; ip link del egw.vxlan; ip addr del 192.168.0.200/32 dev eth0; for s in $(ipset list -n | grep egw-); do ipset destroy $s; done";

scenario(
  "a node that boots has its datapath back without pulumi, and is closed if it can't",
  // No senders: pods start after the unit that puts everything back, and here nothing else stops them.
  { senders: [] },
  async ({ lab, stack, change }) => {
    const pods = ["pod-client-1-1", "pod-gateway-1-1"];
    const addresses = lab.pods.filter(({ name }) => pods.includes(name)).map(({ address }) => address);
    const program = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS]), policyOf("policy", "gateway", addresses)];
    await change(pods, () => stack.up(program), { to: [EGRESS] });
    for (const node of ["client-1", "gateway-1"]) {
      await exec(lab, node, ["sh", "-c", REBOOT]);
      expect(await exec(lab, node, RUN)).toMatchObject({ code: 0 });
    }
    for (const pod of pods)
      expect(await podCall(lab, pod, lab.outside[0]?.address ?? "")).toMatchObject({ source: EGRESS });
    expect((await stack.preview(program)).filter(({ change }) => change !== "same")).toEqual([]);

    await exec(lab, "client-1", ["sh", "-c", REBOOT]);
    await exec(lab, "client-1", [
      "sh",
      "-c",
      "sed -i s/EGRESSGATEWAY-ADMIT/EGRESSGATEWAY-NOWHERE/ /var/lib/pulumi-egress/restore/iptables",
    ]);
    expect((await exec(lab, "client-1", RUN)).code).toBe(1);
    expect(await podCall(lab, "pod-client-1-1", lab.outside[0]?.address ?? "", { timeoutMs: 400 })).not.toHaveProperty(
      "source",
    );
    expect(await podCall(lab, "pod-client-1-2", lab.outside[0]?.address ?? "")).toMatchObject({
      source: "192.168.0.11",
    });
    await stack.up(program);
    expect(await podCall(lab, "pod-client-1-1", lab.outside[0]?.address ?? "")).toMatchObject({ source: EGRESS });
    await change(pods, () => stack.destroy());
  },
);
