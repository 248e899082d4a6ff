import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileNode } from "../../provider/compile/node";
import { type KernelObject, KINDS } from "../../provider/kernel/state";
import type { Claim } from "../../provider/model/claim";
import { parseSections } from "../../provider/program/frame";
import { PROBE_FUNCTIONS } from "../../provider/program/shell-probe";
import { describe as describeDifference, diff } from "../../provider/reconcile/diff";
import { plan } from "../../provider/reconcile/plan";
import type { Step } from "../../provider/reconcile/step";
import { testUnless } from "../setup/skip";
import { printState } from "../unit/kernel/print-state";
import { compile, desiredOf, FACTS, gatewayClaim, NODES, nodeClaim, situationsOf } from "../unit/reconcile/states";

/** Which section of the probe each kind is read from. */
const SECTION: Readonly<Record<KernelObject["kind"], string>> = {
  link: "link",
  sysctl: "sysctl",
  address: "address",
  neighbour: "neighbour",
  route: "route",
  "ip-rule": "ip-rule",
  ipset: "ipset",
  "ipset-member": "ipset",
  chain: "iptables",
  "chain-rule": "iptables",
  hook: "iptables",
  "bpf-map": "bpf",
  "bpf-entry": "bpf",
  "bpf-program": "bpf",
  "tc-filter": "bpf",
};

/** Programs and all that they need are in program-text.test.ts. */
const COMMANDS: Readonly<Partial<Record<Step["tool"], string>>> = {
  ip: "ip -batch -",
  sysctl: 'while read -r k e v; do echo "$v" > /proc/sys/$k || exit 1; done',
  ipset: "ipset -exist restore",
  iptables: "iptables-restore --noflush",
  arping: "cat > /dev/null",
};

function commandOf(tool: Step["tool"]): string {
  const command = COMMANDS[tool];
  if (command === undefined) throw new Error(`no command for ${tool}`);
  return command;
}

/** A network namespace of its own with an uplink and a few foreign rules. */
class Kernel {
  private readonly name: string;
  private readonly tools = mkdtempSync(join(tmpdir(), "egw-unit-"));

  constructor(variant: string) {
    this.name = `egw-unit-${variant}-${process.pid}`;
    for (const tool of ["iptables-save", "iptables-restore"]) {
      symlinkSync(`/usr/sbin/${tool.replace("iptables", `iptables-${variant}`)}`, join(this.tools, tool));
    }
    spawnSync("ip", ["netns", "add", this.name]);
    this.must(`ip link add eth0 type veth peer name eth0-peer
ip addr add ${NODES["gateway-1"].underlay}/24 dev eth0; ip link set eth0 up; ip link set eth0-peer up
ip rule add pref 100 fwmark 0x80000/0xc0000 table 100
ipset create cali40all-ipam-pools hash:net; ipset add cali40all-ipam-pools 10.0.0.0/16
iptables-restore --noflush <<'E'
*nat
-A PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.1.11:80
-A POSTROUTING -s 10.0.0.0/16 -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE
COMMIT
*filter
-A FORWARD -s 10.0.0.0/16 -j ACCEPT
COMMIT
E`);
  }

  run(script: string, input = ""): { status: number | null; stdout: string; stderr: string } {
    const env = { ...process.env, PATH: `${this.tools}:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: "C" };
    return spawnSync("ip", ["netns", "exec", this.name, "sh", "-c", script], { input, env, encoding: "utf8" });
  }

  must(script: string, input = ""): string {
    const { status, stdout, stderr } = this.run(script, input);
    if (status !== 0) throw new Error(`${script} ended with ${status}: ${stderr}\n${input}`);
    return stdout;
  }

  read(): KernelObject[] {
    const sections = parseSections(this.must(`${PROBE_FUNCTIONS}\negw_kernel; egw_ipset; true`));
    return Object.values(KINDS).flatMap((kind): KernelObject[] => kind.parse(sections.get(SECTION[kind.kind]) ?? ""));
  }

  apply(steps: readonly Step[]): void {
    for (const { tool, input } of steps) this.must(commandOf(tool), input.map((line) => `${line}\n`).join(""));
  }

  /** As the node program undoes: `ip -force`, ipset line by line. */
  undo(steps: readonly Step[]): void {
    for (const { tool, undo } of [...steps].reverse()) {
      const text = undo.map((line) => `${line}\n`).join("");
      if (tool === "ip") this.run("ip -force -batch -", text);
      else if (tool === "ipset") this.must('while read -r l; do echo "$l" | ipset -exist restore; done; true', text);
      else this.must(commandOf(tool), text);
    }
  }

  foreign(): string {
    return this.must(
      "iptables-save | grep -v '^[#:*C]'; ipset save; ip rule; ip -4 -o addr; ip -4 route show table all",
    );
  }

  remove(): void {
    spawnSync("ip", ["netns", "del", this.name]);
    rmSync(this.tools, { recursive: true });
  }
}

const missing = (tool: string): string | false => spawnSync(tool, ["--version"]).status !== 0 && `no ${tool} here`;

/** Something that a person types, and what preview says to it. */
const HANDS: readonly (readonly [string, RegExp])[] = [
  ["ip link del egw.vxlan", /^missing {2}link egw.vxlan /],
  ["ip link set egw.vxlan down", /^changed {2}link egw.vxlan .* up {2}is {2}.* down$/],
  ["ip link set egw.vxlan mtu 1300", /^changed {2}link egw.vxlan .* mtu 1450 up {2}is {2}.* mtu 1300 up$/],
  ["ip link set egw.vxlan address 02:00:00:00:00:01", /^missing {2}neighbour 100.126.0.11 /],
  [
    "ip link del egw.vxlan; ip link add egw.vxlan mtu 1450 type vxlan external dstport 4799",
    /^changed {2}link egw.vxlan .*4790.* is .*4799/,
  ],
  ["ip link del egw.vxlan; ip link add egw.vxlan type veth peer name egw-peer", /^changed {2}link egw.vxlan/],
  ["echo 1 > /proc/sys/net/ipv4/conf/egw.vxlan/rp_filter", /^changed {2}sysctl .* = 2 {2}is {2}.* = 1$/],
  ["echo 0 > /proc/sys/net/ipv4/conf/egw.vxlan/forwarding", /^changed {2}sysctl .* = 1 {2}is {2}.* = 0$/],
  [
    "ip link add brx type bridge; ip link set egw.vxlan master brx",
    /^changed {2}link egw.vxlan .* up {2}is {2}.* up master brx$/,
  ],
  ["ip addr del 100.126.0.101/32 dev egw.vxlan", /^missing {2}route default table 3011 /],
  ["ip addr del 192.0.2.1/32 dev eth0", /^missing {2}address 192.0.2.1\/32 dev eth0 label eth0:egw$/],
  ["ip addr add 192.0.2.7/32 dev eth0 label eth0:egw", /^extra {4}address 192.0.2.7\/32/],
  ["ip neigh del 100.126.0.11 dev egw.vxlan", /^missing {2}neighbour/],
  ["ip route del unicast default table 3011", /^missing {2}route default table 3011 encap/],
  ["ip route del unreachable default table 3011 metric 4096", /^missing {2}route unreachable default table 3011/],
  [
    "ip route replace default via 192.168.0.1 dev eth0 table 3011 proto 38",
    /^changed {2}route default table 3011 encap .* is {2}route default via/,
  ],
  [
    "ip route add default via 192.168.0.1 dev eth0 metric 5 table 3011 proto 38",
    /^extra {4}route default via 192.168.0.1 dev eth0 metric 5/,
  ],
  [
    "ip route add default via 100.126.0.11 dev egw.vxlan onlink metric 5 table 3011 proto 38 encap ip id 5 dst 192.168.0.9",
    /^extra {4}route default encap ip id 5 .* metric 5/,
  ],
  ["ip route add 203.0.113.0/24 via 192.168.0.1 dev eth0 table 3011 proto 38", /^extra {4}route 203.0.113.0\/24 via/],
  ["ip route add blackhole 203.0.113.0/24 table 3011 proto 38", /^extra {4}route \S+ 203.0.113.0\/24 table 3011/],
  ["ip rule del pref 5000 table 3011", /^missing {2}ip-rule/],
  [
    "ip rule add pref 4000 fwmark 0x26000b00/0xffff3f00 table main protocol 38",
    /^extra {4}ip-rule .* pref 4000 lookup 254$/,
  ],
  ["ipset del egw-peers 192.168.0.11", /^missing {2}ipset-member egw-peers 192.168.0.11$/],
  ["ipset add egw-peers 10.8.8.8", /^extra {4}ipset-member egw-peers 10.8.8.8$/],
  ["ipset create egw-more hash:ip", /^extra {4}ipset egw-more hash:ip maxelem 65536$/],
  [
    "ipset create x hash:ip,port,ip maxelem 1048576 timeout 432000; ipset swap x egw-cut; ipset destroy x",
    /^changed {2}ipset egw-cut .* timeout 432000 {2}is {2}.* timeout 432000 without counters without comment$/,
  ],
  [
    "ipset create x hash:net maxelem 1048576 timeout 0 comment; ipset swap x egw-peers; ipset destroy x",
    /^changed {2}ipset egw-peers hash:net {2}is {2}ipset egw-peers hash:net with timeout 0 with comment$/,
  ],
  [
    "iptables-restore --noflush <<'E'\n*mangle\n-F EGRESSGATEWAY-RESET-MARK\nCOMMIT\nE",
    /^missing {2}iptables mangle EGRESSGATEWAY-RESET-MARK/,
  ],
  [
    "iptables-restore --noflush <<'E'\n*mangle\n-I FORWARD -s 10.8.8.8 -j ACCEPT\nCOMMIT\nE",
    /^changed {2}iptables mangle FORWARD .* behind foreign "-s 10.8.8.8/,
  ],
  [
    "iptables-restore --noflush <<'E'\n*nat\n-I POSTROUTING 2 -s 10.8.8.8 -j ACCEPT\nCOMMIT\nE",
    /^changed {2}iptables nat POSTROUTING .* behind foreign "-s 10.8.8.8/,
  ],
  [
    "iptables-restore --noflush <<'E'\n*nat\n-A POSTROUTING -j EGRESSGATEWAY-NO-SNAT\nCOMMIT\nE",
    /^extra {4}iptables nat POSTROUTING/,
  ],
];

describe.each(["nft", "legacy"])("with iptables-%s", (variant) => {
  const reason = missing(`iptables-${variant}`);
  const test = testUnless(reason);
  let kernel: Kernel;
  beforeAll(() => {
    if (!reason) kernel = new Kernel(variant);
  });
  afterAll(() => kernel?.remove());

  test("the kernel shows every situation exactly as it was asked for, one after the other, and nothing in the end", () => {
    const before = kernel.foreign();
    const hasPrograms = (claim: Claim): boolean => claim.kind === "gateway" && claim.datapath === "bpf";
    const situations = situationsOf("gateway-1").filter(({ claims }) => !claims.some(hasPrograms));
    for (const situation of [...situations, ...situationsOf("client-1").slice(0, 1)]) {
      const desired = desiredOf(situation);
      kernel.apply(plan(desired, kernel.read()));
      const actual = kernel.read();
      expect(diff(compile(situation), actual, situation.nodeOwner).map(describeDifference)).toEqual([]);
      expect(printState(actual)).toBe(printState(desired));
      expect(plan(desired, actual)).toEqual([]);
    }
    expect(kernel.foreign()).toBe(before);
  });

  test("an uplink whose name leaves no room for a label holds egress IPs all the same", () => {
    const uplink = "enp0s31f6123456".slice(0, 15);
    kernel.must(`ip link add ${uplink} type veth peer name long-peer; ip link set ${uplink} up`);
    const claims = [nodeClaim("gateway-1", { uplink }), gatewayClaim()];
    const desired = compileNode(claims, FACTS).map(({ object }) => object);
    kernel.apply(plan(desired, kernel.read()));
    expect(printState(kernel.read())).toBe(printState(desired));
    expect(kernel.must("ip -4 -o addr show")).toMatch(/192\.0\.2\.1\/32 metric 3838 /);
    kernel.apply(plan([], kernel.read()));
    expect(kernel.must("ip -4 -o addr show")).not.toContain("192.0.2.1");
  });

  for (const [command, told] of HANDS) {
    test(`what a hand does is told, repaired, and brought back by undo: ${command.replaceAll("\n", " ")}`, () => {
      checkHand(kernel, command, told);
    });
  }
});

function checkHand(kernel: Kernel, command: string, told: RegExp): void {
  const situation = situationsOf("gateway-1").find(({ name }) => name.endsWith("two policies"));
  if (!situation) throw new Error("no such situation");
  const desired = desiredOf(situation);
  kernel.apply(plan(desired, kernel.read()));
  expect(printState(kernel.read())).toBe(printState(desired));

  kernel.must(command);
  const tampered = kernel.read();
  const found = diff(compile(situation), tampered, situation.nodeOwner).map(describeDifference);
  expect(found).toEqual(expect.arrayContaining([expect.stringMatching(told)]));

  const repair = plan(desired, tampered);
  kernel.apply(repair);
  expect(printState(kernel.read())).toBe(printState(desired));
  const isOther = /type veth/.test(command);
  if (!isOther) {
    kernel.undo(repair);
    expect(printState(kernel.read())).toBe(printState(tampered));
  }
}
