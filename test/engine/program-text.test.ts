import { spawnSync } from "node:child_process";
import { HOOKS, LAYOUT_VERSION, VERDICTS } from "../../provider/kernel/bpf-layout";
import { BPF_BOOT_FUNCTIONS } from "../../provider/program/bpf-boot";
import { probeScript } from "../../provider/program/shell-probe";
import { batchFor } from "../../provider/runtime/batch";
import { devicesLeftOut } from "../../provider/runtime/pod-devices";
import { COMPILER, parseSnapshot } from "../../provider/runtime/snapshot";
import { rebootScript } from "../scenarios/reboot";
import { testFull, testUnless } from "../setup/skip";
import { gatewayClaim, nodeClaim, policyClaim } from "../unit/reconcile/states";
import { differences, ProgramNode, within } from "./program-node";

const GATEWAY = gatewayClaim({ datapath: "bpf" });
const POLICIES = [
  policyClaim("policy-1"),
  policyClaim("policy-2", { sources: ["10.0.1.0/28"], destinations: ["198.51.100.0/24"], egressIP: "192.0.2.2" }),
];
const BARE = [nodeClaim("gateway-1"), gatewayClaim()];
const CLAIMS = [nodeClaim("gateway-1"), GATEWAY, ...POLICIES];
/** A program of others, which counts and lets all pass: `egw_verdicts` stands for any map. */
const THEIRS = `mkdir -p /sys/fs/bpf/theirs
[ -e /sys/fs/bpf/theirs/prog/count_in ] || {
  rm -rf /sys/fs/bpf/theirs/prog
  printf '#include <linux/bpf.h>\\nint count_in(struct __sk_buff *skb) { return -1; }\\nchar _license[] __attribute__((section("license"))) = "GPL";\\n' > /run/theirs.c
  sed -i 's/^int/__attribute__((section("classifier"))) int/' /run/theirs.c
  clang -O2 -target bpf -I/usr/include/$(uname -m)-linux-gnu -c /run/theirs.c -o /run/theirs.o
  bpftool prog loadall /run/theirs.o /sys/fs/bpf/theirs/prog type classifier
}
place() { tc filter show dev $1 $2 | sed -n 's/.* pref \\([0-9]*\\) .* handle \\([^ ]*\\) egw-.*/prio \\1 handle \\2/p'; }
theirs() { tc qdisc add dev $1 clsact 2>/dev/null; tc filter add dev $1 $2 prio $3 protocol \${4:-all} bpf da object-pinned /sys/fs/bpf/theirs/prog/count_in; }
`;
const missing = ["bpftool", "tc", "clang"].find((tool) => spawnSync(tool, ["-V"]).error);
const test = testUnless(missing === undefined ? false : `no ${missing} here`);

const MAPS = `maps-${LAYOUT_VERSION}`;
const WITHOUT_THEIRS = `for d in eth0 veth1 egw.vxlan; do for w in ingress egress; do
  tc filter show dev $d $w | sed -n 's/.* pref \\([0-9]*\\) .* handle \\([^ ]*\\) count_in.*/\\1 \\2/p' | while read -r p h; do
    tc filter del dev $d $w prio $p handle $h protocol all bpf
  done
done; done`;

let node: ProgramNode;
const start = async () => {
  if (missing === undefined) node = await ProgramNode.start("192.168.0.101");
};
/** What a person types, and what preview says to it: these can be done together. */
const HANDS: readonly (readonly [string, RegExp])[] = [
  ["rm $M/egw_policies", /^missing {2}bpf-map egw_policies /],
  [
    "bpftool map update pinned $M/egw_peers key 192 168 0 102 value 2 0 0 0 0 1 0 0",
    /^changed {2}bpf-entry egw_peers 192.168.0.102: .* is .*02:00:00:00:00:01$/,
  ],
  [
    "rm $P/gateway-*/egw-from_client",
    /^changed {2}bpf-program gateway .* is .*: from_outside to_outside uplink_gateway!?$/,
  ],
  ["tc filter del dev veth1 ingress", /^missing {2}tc-filter veth1 ingress from_pod of client/],
  [
    "theirs eth0 ingress 7; theirs eth0 ingress 6",
    /^changed {2}tc-filter eth0 ingress from_outside .* behind count_in count_in$/,
  ],
  [
    "tc filter replace dev veth2 ingress $(place veth2 ingress) protocol all bpf object-pinned $P/client-*/egw-from_pod",
    /^changed {2}tc-filter veth2 ingress from_pod of client .* is .* without direct-action$/,
  ],
];
/** Further ones, in the long matrix. */
const MORE_HANDS: readonly (readonly [string, RegExp])[] = [
  ["bpftool map delete pinned $M/egw_egress_ips key 192 0 2 1", /^missing {2}bpf-entry egw_egress_ips 192.0.2.1: 1$/],
  [
    "tc filter replace dev veth1 ingress $(place veth1 ingress) protocol all bpf da object-pinned /sys/fs/bpf/theirs/prog/count_in",
    /^missing {2}tc-filter veth1 ingress from_pod of client/,
  ],
  [
    "bpftool map update pinned $M/egw_policies key hex 40 0 0 0 0a 0 1 0b cb 0 71 07 value 0 0 0 0 0 0 0 1",
    /^extra {4}bpf-entry egw_policies 10.0.1.11 to 203.0.113.7\/32: egress IP 0.0.0.0 gateway 0.0.0.1$/,
  ],
  [
    "rm $M/egw_peers; bpftool map create $M/egw_peers type hash key 4 value 8 entries 99 name egw_peers",
    /^changed {2}bpf-map egw_peers .* entries 16384 flags 0 {2}is {2}.* entries 99 /,
  ],
  [
    "mkdir $P/maps-0; bpftool map create $P/maps-0/old type hash key 4 value 4 entries 9 name old",
    /^extra {4}bpf-map old version 0/,
  ],
  ["rm -r $P/client-*", /^missing {2}bpf-program client /],
  ["tc qdisc del dev eth0 clsact", /^missing {2}tc-filter eth0 egress to_outside of gateway/],
  [
    "mv /sys/fs/bpf/theirs/prog/count_in /sys/fs/bpf/theirs/prog/egw-from_pod; tc filter replace dev veth1 ingress $(place veth1 ingress) protocol all bpf da object-pinned /sys/fs/bpf/theirs/prog/egw-from_pod",
    /^changed {2}tc-filter veth1 ingress from_pod of client .* is .* of \?$/,
  ],
  [
    "mkdir /sys/fs/bpf/ours; bpftool prog pin pinned $P/client-*/egw-to_tunnel /sys/fs/bpf/ours/egw-from_pod; tc filter replace dev veth1 ingress $(place veth1 ingress) protocol all bpf da object-pinned /sys/fs/bpf/ours/egw-from_pod; rm -r /sys/fs/bpf/ours",
    /^changed {2}tc-filter veth1 ingress from_pod of client .* is .* of \?$/,
  ],
  ["tc filter del dev egw.vxlan ingress prio 39", /^missing {2}tc-filter egw.vxlan ingress from_client /],
  [
    "tc filter del dev eth0 egress; tc filter add dev eth0 egress prio 38 handle 1 protocol 802.1Q bpf da object-pinned $P/gateway-*/egw-to_outside",
    /^changed {2}tc-filter eth0 egress to_outside of gateway .* is .* protocol 802.1Q$/,
  ],
  [
    "tc filter del dev veth1 ingress; tc filter add dev veth1 ingress prio 1 handle 1 protocol 34997 bpf object-pinned $P/client-*/egw-from_pod",
    /^changed {2}tc-filter veth1 ingress from_pod of client .* is .* protocol \[34997\] without direct-action$/,
  ],
  [
    "tc filter del dev veth1 ingress; tc filter add dev veth1 ingress chain 5 prio 38 handle 1 protocol all bpf da object-pinned $P/client-*/egw-from_pod",
    /^changed {2}tc-filter veth1 ingress from_pod of client .* is .* chain 5$/,
  ],
  [
    "tc filter del dev veth1 ingress; tc filter add dev veth1 ingress prio 38 handle 1 protocol ip bpf da object-pinned $P/client-*/egw-to_tunnel",
    /^extra {4}tc-filter veth1 ingress to_tunnel of client .* protocol ip$/,
  ],
  ["theirs egw.vxlan ingress 1", /^changed {2}tc-filter egw.vxlan ingress from_client .* behind count_in$/],
  ["theirs veth1 ingress 1", /^changed {2}tc-filter veth1 ingress from_pod .* behind count_in$/],
  [
    "tc filter add dev veth1 ingress prio 50 handle 3 protocol ip bpf da object-pinned $P/client-*/egw-from_pod",
    /^extra {4}tc-filter veth1 ingress from_pod of client/,
  ],
  [
    "tc filter add dev veth1 egress prio 50 protocol all bpf da object-pinned $P/client-*/egw-from_pod",
    /^extra {4}tc-filter veth1 egress from_pod/,
  ],
  ["ip link del egw.vxlan", /^changed {2}bpf-program client .* for egw.vxlan eth0: .* is .* for \? eth0: /],
  [
    "ip link del veth1; ip link add veth1 type veth peer name pod1; ip link set veth1 up; ip route add 10.0.1.11 dev veth1",
    /^missing {2}tc-filter veth1/,
  ],
];

/** Devices are in the order in which they were made. */
const sorted = (shown: string): string => shown.split("\n").sort().join("\n");

describe("on a node with programs", () => {
  beforeAll(async () => {
    await start();
    if (missing === undefined) node.apply(CLAIMS);
  });
  afterAll(() => node?.stop());

  const told = (hands: typeof HANDS) => () => {
    const whole = node.shown();
    node.must([THEIRS, `P=/sys/fs/bpf/pulumi-egress; M=$P/${MAPS}`, ...hands.map(([command]) => command)].join("\n"));
    const tampered = node.filters();
    const found = differences(node.probe());
    expect(found).toEqual(expect.arrayContaining(hands.map(([, says]) => expect.stringMatching(says))));

    expect(node.fail(CLAIMS)).toContain("@@rolled-back");
    expect(differences(node.probe())).toEqual(found);
    expect(node.filters()).toBe(tampered);

    expect(differences(node.apply(CLAIMS))).toEqual([]);
    node.must(WITHOUT_THEIRS);
    expect(sorted(node.shown())).toBe(sorted(whole));
  };
  test("hands are told, undone with all else where the repair fails, and repaired: many together", told(HANDS));
  for (const hand of [...HANDS, ...MORE_HANDS])
    testFull(`a hand is told, undone with all else where the repair fails, and repaired: ${hand[0]}`, told([hand]));
});

const ENCRYPTS = "tmpl src 192.168.0.101 dst 192.168.0.1 proto esp mode tunnel";
/** Adds IPsec policies. */
const ipsec = (...policies: readonly string[]): string =>
  policies.map((one) => `ip xfrm policy add src 10.9.0.0/16 dst 10.8.0.0/16 ${one}`).join("\n");

/** Bytes of a number, the lowest first, as bpftool takes them. */
const bytesOf = (number: bigint, size: number): string =>
  Array.from({ length: size }, (_, i) => Number((number >> BigInt(8 * i)) & 255n)).join(" ");

describe("on a node of its own", () => {
  beforeEach(start);
  afterEach(() => node?.stop());

  test("programs of both roles are loaded, filled and attached, reloaded with all that their maps hold, and leave nothing", () => {
    node.apply(BARE);
    const before = node.shown();
    expect(differences(node.apply(CLAIMS))).toEqual([]);
    expect(differences(node.probe())).toEqual([]);
    expect(node.probe().isAsRecorded).toBe(true);
    const shown = node.shown();
    for (const line of [
      "egw.vxlan clsact/ingress egw-from_gateway",
      "egw.vxlan clsact/ingress egw-from_client",
      "egw.vxlan clsact/egress egw-to_tunnel",
      "eth0 clsact/ingress egw-from_outside",
      "eth0 clsact/egress egw-to_outside",
      "veth1 clsact/ingress egw-from_pod",
      "veth2 clsact/ingress egw-from_pod",
    ])
      expect(shown).toContain(line);
    expect(shown.indexOf("egw-from_gateway")).toBeLessThan(shown.indexOf("egw-from_client"));

    // The number of each device is where the programs look for it.
    const indexes = node
      .must("cat /sys/class/net/egw.vxlan/ifindex /sys/class/net/eth0/ifindex")
      .split("\n")
      .map(Number);
    const constants =
      node.must(`bpftool -j map dump id $(bpftool -j prog show pinned /sys/fs/bpf/pulumi-egress/gateway-*/egw-from_client |
    sed 's/.*"map_ids":\\[\\([0-9,]*\\)\\].*/\\1/' | tr , '\\n' | while read -r i; do bpftool map show id $i | grep -q rodata && echo $i; done)`);
    expect(constants).toContain(`{"tunnel_ifindex":${indexes[0]}}`);
    expect(constants).toContain(`{"uplink_ifindex":${indexes[1]}}`);

    // A flow of the programs survives others in their place.
    const flows = "/sys/fs/bpf/pulumi-egress/maps-*/egw_flows";
    node.must(
      `bpftool map update pinned ${flows} key hex $(printf '01 %.0s' $(seq 16)) value hex $(printf '02 %.0s' $(seq 24))`,
    );
    const changed = [nodeClaim("gateway-1", { mtu: 1400 }), GATEWAY, ...POLICIES];
    expect(differences(node.apply(changed))).toEqual([]);
    expect(node.must(`bpftool map dump pinned ${flows}`)).toContain("Found 1 element");
    expect(node.shown().match(/-[0-9a-f]{10}$/gm)).toHaveLength(2);

    node.apply(BARE);
    expect(node.shown()).toBe(before);
    node.apply([]);
    expect(node.must("ls /sys/fs/bpf")).not.toContain("pulumi");
  });

  testFull(
    "a step that fails behind the filters is undone whole, be the number of a device that of another step",
    async () => {
      const tools = node.tools(CLAIMS);
      node.stop();
      for (const number of [tools.indexOf("iptables"), tools.lastIndexOf("iptables")]) {
        node = await ProgramNode.start("192.168.0.101", number);
        expect({ number, said: node.fail(CLAIMS) }).toEqual({ number, said: expect.stringContaining("@@rolled-back") });
        node.stop();
      }
    },
  );

  const unfit: readonly (readonly [string, string, readonly string[]])[] = [
    ["a bpftool that does not run", "mount --bind /bin/false $(command -v bpftool)", ["bpftool"]],
    ["no BPF file system", "umount /sys/fs/bpf", ["bpffs"]],
    [
      "an IPsec policy that any packet may meet",
      ipsec(`dir out if_id 7 ${ENCRYPTS}`, `dir out ${ENCRYPTS}`, `dir in ${ENCRYPTS}`),
      ["ipsec"],
    ],
    ["one that is met by what has no mark", ipsec(`dir out mark 0 mask 0xffffffff ${ENCRYPTS}`), ["ipsec"]],
    ["one that drops", ipsec("dir out action block"), ["ipsec"]],
    [
      "no IPsec policies but such as have an interface or a mark, or let pass, or are of IPv6",
      [
        ipsec(
          `dir in ${ENCRYPTS}`,
          `dir out if_id 7 ${ENCRYPTS}`,
          `dir fwd ${ENCRYPTS}`,
          `dir out priority 5 mark 1 mask 1 ${ENCRYPTS}`,
          "dir out priority 6",
        ),
        "ip xfrm policy add src 2001:db8::/64 dst 2001:db8:1::/64 dir out tmpl src 2001:db8::1 dst 2001:db8::2 proto esp mode tunnel",
      ].join("\n"),
      [],
    ],
  ];
  for (const [what, before, told] of unfit)
    test(`a probe tells what keeps programs from a node: ${what}`, async () => {
      node.stop();
      node = await ProgramNode.start("192.168.0.101");
      node.must(before);
      const { host } = node.probe();
      expect([...host.missingTools, ...host.unfit]).toEqual(told);
    });

  test("a node whose programs nothing can read is changed in nothing, whatever its gateways come to be", () => {
    node.apply(CLAIMS);
    const before = node.shown();
    node.must("mount --bind /bin/false $(command -v bpftool)");
    const there = node.probe();
    const unread = "nothing was changed: programs of ours are on it, and without a bpftool that runs";
    expect(there.host.unfit).toEqual(["programs-unread"]);
    for (const claims of [CLAIMS, BARE, []]) expect(() => batchFor(there, claims)).toThrow(unread);
    node.must("umount $(command -v bpftool)");
    expect(node.shown()).toBe(before);
    expect(node.probe().host.unfit).toEqual([]);
    expect(differences(node.apply(BARE))).toEqual([]);
  });

  testFull(
    "at boot filters come in the order of a batch: answers before what begins, and last what keeps the stack off",
    () => {
      node.apply(CLAIMS);
      const stubs = ["maps", "entries", "programs"].map((what) => `egw_bpf_${what}() { cat > /dev/null; }`);
      const lines = node.must(`${BPF_BOOT_FUNCTIONS}
T=$(mktemp -d); ${stubs.join("; ")}; egw_filters() { cat; }
egw_load_bpf /var/lib/pulumi-egress/restore/bpf; rm -r $T`);
      const place = (program: string) => lines.split("\n").findIndex((line) => line.split(" ")[3] === program);
      expect(lines).toMatch(/^attach \S+ ingress \S+ (client|gateway) [0-9a-f]{10}\n/);
      expect(lines.match(/^attach /gm)).toHaveLength(node.filters().match(/ egw-/g)?.length ?? 0);
      for (const answer of ["from_outside", "from_gateway", "uplink_client"].filter((one) => place(one) >= 0))
        for (const begins of ["from_client", "from_pod"])
          expect([answer, begins, place(answer) < place(begins)]).toEqual([answer, begins, true]);
      expect(lines.trim().split("\n").at(-1)).toMatch(/^attach eth0 egress to_outside gateway /);
    },
  );

  test("at boot nothing is forwarded before all programs stand", () => {
    node.apply(CLAIMS);
    const whole = node.filters();
    const opened = node.must(`mount -t tmpfs tmpfs /usr/local/sbin
cat > /usr/local/sbin/iptables <<'END'
#!/bin/sh
case "$*" in *"-D FORWARD -j EGRESSGATEWAY-BOOT"*) bpftool net show > /run/when-opened ;; esac
exec /usr/sbin/iptables "$@"
END
chmod +x /usr/local/sbin/iptables
${rebootScript("192.0.2.1")}
sh /var/lib/pulumi-egress/restore/run > /dev/null && sed -n '/^tc:/,/^flow/p' /run/when-opened | sed 's/([0-9]*)//; s/ id [0-9]*//'`);
    expect(whole.match(/ egw-/g)).toHaveLength(9);
    expect(sorted(opened)).toBe(sorted(whole));
    expect(sorted(node.filters())).toBe(sorted(whole));
    expect(differences(node.probe())).toEqual([]);
  });

  test("where not all programs can be attached at boot, none is", () => {
    node.apply(CLAIMS);
    const { stderr } = node.run(`${rebootScript("192.0.2.1")}
tc qdisc add dev veth1 ingress
sh /var/lib/pulumi-egress/restore/run`);
    expect(stderr).toContain("the programs could not be loaded; packets take the stack until pulumi up");
    expect(node.filters()).not.toContain("egw-");
    node.must("tc qdisc del dev veth1 ingress");
    expect(differences(node.apply(CLAIMS))).toEqual([]);
  });

  testFull("what is attached by tcx is told, and is no drift: no filter comes before it", () => {
    node.apply(CLAIMS);
    const net = node
      .must("bpftool net show")
      .replace(/^tc:$/m, "tc:\neth0(100) tcx/ingress cil_from_netdev prog_id 1000");
    expect(net).toContain("tcx");
    const shown = parseSnapshot(
      node.must(
        within(
          probeScript(COMPILER),
          `bpftool() { if [ "$*" = "net show" ]; then cat <<'NET'\n${net}\nNET\nelse command bpftool "$@"; fi; }`,
        ),
      ),
    );
    expect(differences(shown)).toEqual([]);
    expect(shown.host.filters).toEqual([
      { device: "eth0", direction: "ingress", name: "cil_from_netdev", isFirst: true },
    ]);
  });

  test("what programs have counted is read whole, the sum over all CPUs", () => {
    node.apply(CLAIMS);
    const pin = `/sys/fs/bpf/pulumi-egress/${MAPS}/egw_verdicts`;
    const [first, last] = [258, VERDICTS.length * HOOKS.length - 1] as const;
    const each = 0x01_0203_0405n;
    for (const key of [first, last])
      node.must(`bpftool map update pinned ${pin} key ${bytesOf(BigInt(key), 4)} value ${bytesOf(each, 8)}`);
    const [{ values = [] } = {}] = JSON.parse(node.must(`bpftool -j map dump pinned ${pin}`)) as {
      values?: unknown[];
    }[];
    expect(values.length).toBeGreaterThan(1);
    const sum = Number(each) * values.length;
    const { verdicts } = node.probe().host;
    expect([verdicts.get(first), verdicts.get(last)]).toEqual([sum, sum]);
  });

  test("what others have on a hook stays as it is, behind ours, and so does their hook", () => {
    node.must(`${THEIRS} theirs eth0 ingress 49000; theirs eth0 egress 20; theirs veth1 ingress 2; theirs veth1 egress 1
tc qdisc add dev veth2 clsact`);
    node.apply(BARE);
    const before = node.shown();
    const filters = node.must(
      "for d in eth0 veth1; do tc filter show dev $d ingress; tc filter show dev $d egress; done",
    );
    expect(differences(node.apply(CLAIMS))).toEqual([]);
    expect(node.must("tc filter show dev eth0 egress")).toMatch(/pref 17 .*egw-to_outside[\s\S]*pref 20 .*count_in/);
    expect(node.must("tc filter show dev veth1 ingress")).toMatch(/pref 1 .*egw-from_pod[\s\S]*pref 2 .*count_in/);
    node.apply(BARE);
    expect(node.shown()).toBe(before);
    expect(node.must("for d in eth0 veth1; do tc filter show dev $d ingress; tc filter show dev $d egress; done")).toBe(
      filters,
    );
  });

  test("where no filter of ours can come before one of others it is told, is no drift, and ours are put behind it or stay", () => {
    node.apply(CLAIMS);
    const whole = node.filters();
    node.must(`${THEIRS} tc filter del dev eth0 ingress prio 40; tc filter del dev eth0 egress
theirs eth0 ingress 1 ip; tc filter add dev eth0 ingress prio 2 protocol ipv6 bpf da object-pinned /sys/fs/bpf/theirs/prog/count_in flowid 1:1; theirs eth0 egress 20
tc filter add dev eth0 egress prio 1 protocol ip u32 match u32 0 0 flowid 1:1`);
    const found = node.probe();
    expect(differences(found)).toEqual([
      expect.stringMatching(/^missing {2}tc-filter eth0 egress to_outside /),
      expect.stringMatching(/^missing {2}tc-filter eth0 ingress from_outside /),
    ]);
    const at = (direction: string, isFirst: boolean) => ({ device: "eth0", direction, name: "count_in", isFirst });
    expect(found.host.filters).toEqual([at("ingress", true), at("ingress", true), at("egress", false)]);
    expect(differences(node.apply(CLAIMS))).toEqual([]);
    expect(differences(node.apply([nodeClaim("gateway-1", { mtu: 1400 }), GATEWAY, ...POLICIES]))).toEqual([]);
    const shown = node.filters();
    expect(shown).toMatch(/count_in.*\n.*uplink_client.*\n.*uplink_gateway.*\n.*from_outside/);
    expect(shown).toMatch(/eth0 .*egress egw-to_outside.*\n.*count_in/);
    expect(sorted(shown.replace(/.*count_in.*\n/g, ""))).toBe(sorted(whole));
    node.apply(BARE);
    expect(node.filters().match(/count_in|egw-/g)).toEqual(Array(3).fill("count_in"));
  });

  test("what others have by names like ours, in other chains, and on devices of any name, is theirs", () => {
    node.must(`${THEIRS} cd /sys/fs/bpf/theirs/prog
for name in "my egw-from_pod" "egw-a b"; do
  bpftool prog pin pinned count_in "$name"; tc qdisc add dev veth1 clsact 2>/dev/null
  tc filter add dev veth1 ingress prio 60 protocol all bpf da object-pinned "$name"
done
ip link add "a'b" index 3 type veth peer name dev index 4; tc qdisc add dev "a'b" clsact; tc qdisc add dev dev clsact
tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress prio 9 chain 3 protocol all bpf da object-pinned count_in
tc filter add dev eth0 egress prio 1 chain 3 protocol ip bpf da object-pinned count_in; theirs eth0 egress 4`);
    node.apply(BARE);
    const before = node.shown();
    expect(differences(node.apply(CLAIMS))).toEqual([]);
    expect(node.filters()).toMatch(/eth0 .*egress egw-to_outside.*\n.*count_in/);
    expect(node.must("tc filter show dev eth0 ingress")).toMatch(/pref 38 .*egw-uplink_client/);
    const names = { device: "veth1", direction: "ingress", isFirst: false };
    expect(node.probe().host.filters).toEqual(
      expect.arrayContaining([
        { ...names, name: "my" },
        { ...names, name: "?" },
      ]),
    );
    node.apply(BARE);
    expect(node.shown()).toBe(before);
  });

  test("a filter of a hook that is ours leaves it to them", () => {
    node.apply(CLAIMS);
    node.must(`${THEIRS} theirs veth1 egress 5`);
    node.apply([]);
    expect(node.shown()).toMatch(/veth1 clsact\/egress count_in/);
    expect(node.shown()).not.toMatch(/clsact veth2|egw-|pulumi/);
  });

  testFull(
    "a tunnel that is made again, and one that goes, take their programs along and bring them back where the batch fails",
    () => {
      node.apply(CLAIMS);
      const whole = sorted(node.shown());
      const other = [nodeClaim("gateway-1", { mtu: 1400 }, { tunnelPort: 4799 }), GATEWAY, ...POLICIES];
      for (const claims of [other, BARE, []]) {
        expect(node.fail(claims)).toContain("@@rolled-back");
        expect(sorted(node.shown())).toBe(whole);
        expect(differences(node.probe())).toEqual([]);
      }
      expect(differences(node.apply(other))).toEqual([]);
    },
  );

  test("a pod's device that goes while the batch is on its way is passed by", () => {
    const snapshot = node.apply(CLAIMS.slice(0, 2));
    expect(snapshot.actual.filter(({ kind }) => kind === "tc-filter").length).toBeGreaterThan(0);
    const after = node.apply(CLAIMS, "ip link del veth2");
    expect(differences(after).filter((line) => !line.includes("veth2"))).toEqual([]);
  });

  describe("a pod's device that goes while its filters are", () => {
    const GOES = "[ $dev != veth1 ] || ip link del veth1 2>/dev/null;";
    const PUT =
      "p=$(echo $1 | cut -d: -f1) h=$(echo $1 | cut -d: -f2); tc filter replace dev $dev $dir prio $p handle $h protocol all bpf da object-pinned $2;";
    const others = (shown: string): string =>
      shown
        .split("\n")
        .filter((line) => !line.includes("veth1"))
        .join("\n");

    test("attached is passed by, one that stays is not", () => {
      node.apply(BARE);
      expect(node.tell(CLAIMS, `egw_put_filter() { [ $dev != veth1 ] || return 1; ${PUT} }`)).toContain(
        "@@rolled-back",
      );
      expect(node.tell(CLAIMS, `egw_put_filter() { ${GOES} ${PUT} }`)).toContain("@@applied");
      expect(node.filters()).toMatch(/veth2 clsact.ingress egw-from_pod/);
    });

    testFull("detached is passed by", () => {
      node.apply(CLAIMS);
      const unhook =
        '[ -d $BPF/clsact/$i ] && [ -z "$(tc filter show dev $dev ingress; tc filter show dev $dev egress)" ] || return 0; tc qdisc del dev $dev clsact && rmdir $BPF/clsact/$i;';
      expect(node.tell(BARE, `egw_unhook() { ${GOES} ${unhook} }`)).toContain("@@applied");
      expect(node.filters()).not.toContain("egw-");
    });

    testFull("attached again is passed by", () => {
      node.apply(CLAIMS);
      const before = others(node.filters());
      const told = node.fail(BARE, `egw_put_filter() { ${GOES} ${PUT} }`);
      expect(told.match(/^missing .*/gm)).toEqual([expect.stringMatching(/^missing {2}filter veth1 /)]);
      expect(others(node.filters())).toBe(before);
    });
  });

  test("a pod's device that a limit of others is on has no program, nor has one that is no Ethernet", () => {
    node.must(`tc qdisc add dev veth1 ingress
tc qdisc add dev veth2 clsact; tc filter add dev veth2 ingress prio 5 protocol ip u32 match u32 0 0 action mirred egress mirror dev pod2
ip link add veth3 type veth peer name pod3; ip link set veth3 up; ip route add 10.0.1.13 dev veth3
ip tuntap add pod4 mode tun; ip link set pod4 up; ip route add 10.0.1.14 dev pod4
ip link add veth5 type veth peer name pod5; ip link set veth5 up; ip route add 10.0.1.15 dev veth5
tc qdisc add dev veth5 ingress_block 7 clsact`);
    const claims = [
      ...CLAIMS,
      policyClaim("policy-3", { sources: ["10.0.1.0/24"], destinations: ["198.51.100.0/24"] }),
    ];
    const after = node.apply(claims);
    expect(differences(after)).toEqual([]);
    expect(node.filters()).toMatch(/veth3 clsact.ingress egw-from_pod/);
    expect(node.filters()).not.toMatch(/(veth[125]|pod4) clsact/);
    expect(devicesLeftOut(after.claims, after.host)).toEqual([
      ["pod4", "link/none, no Ethernet"],
      ["veth1", "an ingress qdisc"],
      ["veth2", "u32 filters"],
      ["veth5", "a clsact that shares its filters with other devices"],
    ]);

    node.must("tc qdisc del dev veth1 ingress; tc filter del dev veth2 ingress");
    expect(differences(node.probe())).toEqual([
      expect.stringMatching(/^missing {2}tc-filter veth1 /),
      expect.stringMatching(/^missing {2}tc-filter veth2 /),
    ]);
    node.apply(claims);
    expect(node.filters()).toMatch(/veth2 clsact.ingress egw-from_pod/);
    expect(differences(node.probe())).toEqual([]);
  });

  test("what a batch that was killed has left is cleared away by the next one", () => {
    node.apply(CLAIMS);
    const whole = node.shown();
    node.must(`cd /sys/fs/bpf/pulumi-egress; mkdir -p gone-${MAPS} loading gone-filters/3-ingress-38:0x1 clsact/9999
mv ${MAPS}/egw_flows gone-${MAPS}/; mv client-* gone-client-0123456789-1-2`);
    expect(differences(node.apply(CLAIMS))).toEqual([]);
    expect(node.shown()).toBe(whole);
  });
});
