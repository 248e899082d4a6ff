import { exec, type Lab } from "../lab";

const STATE = "/var/lib/pulumi-egress";

/** What a reboot takes, of a node with this egress IP: everything of ours in the kernel, nothing on disk. */
export const rebootScript = (
  egressIP: string,
): string => `iptables-save -t mangle | grep -q EGRESS && for t in mangle nat filter; do iptables-save -t $t | grep -v EGRESSGATEWAY | iptables-restore; done
for d in $(tc qdisc show | sed -n 's/^qdisc clsact .* dev \\([^ ]*\\) .*/\\1/p'); do tc qdisc del dev $d clsact; done; rm -rf /sys/fs/bpf/pulumi-egress
ip -4 rule flush protocol 38; ip -4 route flush table all proto 38; ip link del egw.vxlan; ip addr del ${egressIP}/32 dev eth0
for s in $(ipset list -n | grep egw-); do ipset destroy $s; done`;

export async function reboot(lab: Lab, node: string, egressIP: string): Promise<void> {
  await exec(lab, node, ["sh"], { input: rebootScript(egressIP) });
}

/** What the unit of a node does at boot: its exit code and what it says. */
export const restore = (lab: Lab, node: string) => exec(lab, node, ["sh", `${STATE}/restore/run`]);
