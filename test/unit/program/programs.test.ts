import {
  egressIPEntry,
  fleetEntry,
  peerEntry,
  podEntry,
  policyEntry,
  sourceEntry,
  underlayEntry,
} from "../../../provider/kernel/bpf-entry";
import { LAYOUT_VERSION, OBJECTS } from "../../../provider/kernel/bpf-layout";
import { BPF_APPLY_FUNCTIONS, BPF_PROBE_FUNCTIONS } from "../../../provider/program/bpf";
import { Shell } from "./shell";

test("the shell has entries in the maps of our layout, and shows those of each map that we fill", () => {
  for (const text of [BPF_PROBE_FUNCTIONS, BPF_APPLY_FUNCTIONS])
    expect([...text.matchAll(/\$BPF\/maps-(\d+)/g)].map(([, version]) => Number(version))).toEqual(
      expect.arrayContaining([LAYOUT_VERSION]),
    );
  const mac = "66:26:00:00:00:65";
  const entries = [
    policyEntry({ source: "10.0.1.11", destination: "0.0.0.0" }, 0, { egress_ip: "192.0.2.1", gateway: "192.0.2.2" }),
    sourceEntry({ source: "10.0.0.0", prefix_length: 8 }, "0.0.0.1"),
    peerEntry("192.168.0.101", mac),
    underlayEntry(mac, "192.168.0.101"),
    egressIPEntry("192.0.2.1"),
    fleetEntry("192.168.0.11"),
    podEntry("10.0.2.20"),
  ];
  const [, shown = ""] = /for m in (.*); do\n\s*\[ ! -e/.exec(BPF_PROBE_FUNCTIONS) ?? [];
  expect(shown.split(" ").sort()).toEqual(entries.map(({ map }) => map).sort());
});

test("the folders of all objects are looked at", () => {
  const [, folders = ""] = /for f in (\$BPF\/client.*); do/.exec(BPF_PROBE_FUNCTIONS) ?? [];
  const expected = Object.keys(OBJECTS).map((name) => `$BPF/${name}-*/*`);
  expect(folders.split(" ").sort()).toEqual(expected.sort());
});

test.each([0, 1, 255, 256, 65_537, 0x7f01_02ff, 0xffff_ffff])(
  "%d is put into a file as 32 bits, and nowhere else",
  (number) => {
    const shell = new Shell();
    shell.write("object", "0123456789");
    const { stdout } = shell.run(`${BPF_APPLY_FUNCTIONS}\negw_put_number object 3 ${number}; od -An -v -tx1 object`);
    shell.remove();
    const bytes = Buffer.from("0123456789");
    bytes.writeUInt32LE(number, 3);
    expect(stdout.replace(/\s+/g, "")).toBe(bytes.toString("hex"));
  },
);

/** Where a filter is put beside what tc shows. */
function placed(program: string, ...shown: readonly string[]): string {
  const shell = new Shell();
  shell.write("shown", shown.map((line) => `${line}\n`).join(""));
  shell.tool("tc", `cat ${shell.folder}/shown`);
  const { stdout } = shell.run(`${BPF_APPLY_FUNCTIONS}\ndev=x dir=ingress program=${program}; egw_filter_place`);
  shell.remove();
  return stdout.trim();
}
const heading = (preference: number, kind = "bpf") => `filter protocol all pref ${preference} ${kind} chain 0 `;
const filter = (preference: number, handle: string, name: string) =>
  `${heading(preference)}handle ${handle} ${name}:[*fsobj] direct-action not_in_hw id 7 name x tag 01 jited `;

test.each<[string, string, readonly string[], string]>([
  ["alone", "from_pod", [], "38:0x1"],
  ["alone, behind another one of ours", "from_client", [heading(38), filter(38, "0x1", "egw-from_gateway")], "39:0x2"],
  ["where it is", "from_pod", [heading(38), filter(38, "0x1", "egw-from_pod")], "38:0x1"],
  ["far in front of theirs", "from_pod", [heading(49152), filter(49152, "0x1", "theirs")], "38:0x1"],
  ["just in front of theirs", "from_pod", [heading(20), filter(20, "0x1", "theirs")], "17:0x1"],
  ["just in front of theirs, behind ours", "from_client", [heading(20), filter(20, "0x1", "theirs")], "18:0x2"],
  [
    "in front of what is no program",
    "from_pod",
    [heading(9, "u32"), `${heading(9, "u32")}fh 800: ht divisor 1 `],
    "6:0x1",
  ],
  ["at the first preference, the newest", "from_pod", [heading(1), filter(1, "0x1", "theirs")], "1:0x2"],
  ["in front of the second preference", "from_pod", [heading(2), filter(2, "0x1", "theirs")], "1:0x1"],
  [
    "in front of the fourth, where there is not one for each",
    "from_pod",
    [heading(4), filter(4, "0x1", "theirs")],
    "1:0x1",
  ],
  [
    "the same, beside another of ours",
    "from_workload",
    [filter(1, "0x1", "egw-from_pod"), filter(4, "0x1", "theirs")],
    "1:0x2",
  ],
  [
    "alone, whatever other chains have",
    "from_pod",
    [
      filter(1, "0x1", "theirs").replace("chain 0", "chain 3"),
      filter(9, "0x1", "theirs").replace("chain 0", "chain 3"),
    ],
    "38:0x1",
  ],
  ["in front of one that only has our name in its own", "from_pod", [filter(9, "0x1", "my egw-from_pod")], "6:0x1"],
  [
    "at the first preference where it is the newest already",
    "from_pod",
    [filter(1, "0x4", "egw-from_pod"), filter(1, "0x1", "theirs")],
    "1:0x4",
  ],
  [
    "anew where theirs is newer",
    "from_pod",
    [filter(1, "0x3", "theirs"), filter(1, "0x2", "egw-from_pod"), filter(1, "0x1", "theirs")],
    "1:0x4",
  ],
  [
    "anew where what is to have the rest is newer",
    "from_gateway",
    [filter(1, "0x3", "egw-from_client"), filter(1, "0x2", "egw-from_gateway"), filter(1, "0x1", "theirs")],
    "1:0x4",
  ],
  ["behind what leaves the first preference to nobody else", "from_client", [heading(1, "u32")], "39:0x2"],
  [
    "behind what is there for one protocol, and in front of the rest",
    "from_pod",
    [filter(1, "0x1", "theirs").replace("protocol all", "protocol ip"), filter(20, "0x1", "theirs")],
    "17:0x1",
  ],
  [
    "behind what leaves no room, though it is farther back",
    "from_outside",
    [heading(1, "u32"), filter(5, "0x1", "theirs"), filter(9, "0x1", "theirs"), filter(14, "0x1", "theirs")],
    "13:0x3",
  ],
  [
    "behind all where there is no room up to there",
    "from_pod",
    [heading(1, "u32"), ...Array.from({ length: 12 }, (_, i) => filter(4 * i + 4, "0x1", "theirs"))],
    "50:0x1",
  ],
  [
    "where it has its place, whatever stands elsewhere for one protocol",
    "from_pod",
    [filter(40, "0x3", "egw-from_outside").replace("protocol all", "protocol ip")],
    "38:0x1",
  ],
])("a filter comes to stand %s", (_, program, shown, place) => {
  expect(placed(program, ...shown)).toBe(`${place}:all:da:0`);
});

test.each<[string, readonly string[], boolean]>([
  ["nothing is there", [], false],
  ["it stands alone", [heading(38), filter(38, "0x1", "egw-from_pod")], true],
  ["it stands behind others", [filter(9, "0x1", "theirs"), filter(38, "0x1", "egw-from_pod")], true],
  ["it is for IPv4 alone", [filter(38, "0x1", "egw-from_pod").replace("all", "ip")], true],
  ["another one of ours is there", [filter(38, "0x1", "egw-from_pod_too")], false],
  ["others have our name in theirs", [filter(38, "0x1", "my egw-from_pod")], false],
  ["it is in another chain", [filter(38, "0x1", "egw-from_pod").replace("chain 0", "chain 7")], false],
  ["it is for another protocol", [filter(38, "0x1", "egw-from_pod").replace("all", "802.1Q")], false],
  ["what it says is not done", [filter(38, "0x1", "egw-from_pod").replace("direct-action ", "")], false],
])("whether a hook asks a program: %s", (_, shown, isAsked) => {
  const shell = new Shell();
  shell.write("shown", shown.map((line) => `${line}\n`).join(""));
  shell.tool("tc", `cat ${shell.folder}/shown`);
  const { stdout } = shell.run(`${BPF_APPLY_FUNCTIONS}\negw_runs x ingress from_pod && echo asked`);
  shell.remove();
  expect(stdout.trim()).toBe(isAsked ? "asked" : "");
});

const features = (plain: string, summed: string): string =>
  `Features for x:\n\ttx-udp_tnl-segmentation: ${plain}\n\ttx-udp_tnl-csum-segmentation: ${summed}\n`;
const link = (kind: string): string =>
  `2: x: <UP> mtu 1500\n    link/ether 02:00:00:00:00:01 promiscuity 0\n    ${kind}\n`;

test.each<[string, string, string, string, string?]>([
  ["a card that cuts what is tunnelled itself", "numtxqueues 8", features("on", "on"), "0"],
  ["one that cuts only one kind", "numtxqueues 8", features("off [fixed]", "on"), "0"],
  ["one that leaves it to the kernel", "numtxqueues 8", features("off [fixed]", "off [fixed]"), "1"],
  ["a veth pair, which hands on what it gets", "veth addrgenmode eui64", features("on", "on"), "1"],
  [
    "the veth pair of a gateway pod, behind which is a card",
    "veth addrgenmode eui64",
    features("on", "on"),
    "0",
    "pod-1",
  ],
  ["a device of which nobody says anything", "numtxqueues 8", "", "0"],
])("aggregates with the bits of the tunnel: %s", (_, kind, said, taken, pod = "") => {
  const shell = new Shell();
  shell.write("link", link(kind));
  shell.write("features", said);
  shell.tool("ip", `cat ${shell.folder}/link`);
  shell.tool("ethtool", `cat ${shell.folder}/features`);
  const { stdout } = shell.run(`EGW_NETNS=${pod}\n${BPF_APPLY_FUNCTIONS}\negw_takes_aggregates x`);
  shell.remove();
  expect(stdout.trim()).toBe(taken);
});
