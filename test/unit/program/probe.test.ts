import { PROBE_FUNCTIONS } from "../../../provider/program/shell-probe";
import { Shell } from "./shell";

/** What a function of the probe prints where a tool says this. */
function shown(tool: string, says: string, call: string): string {
  const shell = new Shell();
  shell.write("says", says);
  shell.tool(tool, `cat ${shell.folder}/says`);
  const { stdout } = shell.run(`${PROBE_FUNCTIONS}\n${call}`);
  shell.remove();
  return stdout;
}

const SETS = `create KUBE-X hash:net family inet hashsize 1024 maxelem 65536 timeout 0 bucketsize 12 initval 0xf1
add KUBE-X 10.0.0.1 timeout 0
create egw-cut hash:ip,port,ip family inet hashsize 1024 maxelem 1048576 timeout 432000 counters comment bucketsize 12 initval 0xf2
add egw-cut 10.0.1.11,tcp:33000,203.0.113.10 timeout 431999 packets 0 bytes 0 comment "80"
create egw-a hash:net family inet hashsize 1024 maxelem 1048576 timeout 0 comment
add egw-a 10.0.1.11 timeout 0
create egw-b hash:net family inet hashsize 1024 maxelem 70000 counters bucketsize 12 initval 0xf3
add egw-b 10.0.1.12 packets 0 bytes 0
`;

test("of a set what a member can carry is shown, and members but those that go by themselves", () => {
  expect(shown("ipset", SETS, "egw_ipset").split("\n")).toEqual([
    "@@ipset",
    "add egw-a 10.0.1.11 timeout 0",
    "add egw-b 10.0.1.12 packets 0 bytes 0",
    "create egw-a hash:net maxelem 1048576 timeout 0 comment",
    "create egw-b hash:net maxelem 70000 counters",
    "create egw-cut hash:ip,port,ip maxelem 1048576 timeout 432000 counters comment",
    "",
  ]);
});

test("of the tunnel device its master is shown, and no timer of it", () => {
  const head = "egw.vxlan: <BROADCAST,UP> mtu 1450 qdisc noqueue master brx state UNKNOWN";
  const tail = "vxlan external id 0 dstport 4790";
  const line = `7: ${head}\\    ${tail} \\    bridge_slave state forwarding hold_timer    0.41 addrgenmode eui64\n`;
  const probed = shown("ip", line, "egw_kernel").split("\n");
  expect(probed.slice(0, 2)).toEqual(["@@link", expect.stringContaining(`0: ${head}\\    ${tail}`)]);
  expect(probed[1]).not.toContain("timer");
});
