import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as readline from "node:readline";
import { encode, LAYOUT_VERSION, OBJECTS, type ObjectName, write } from "../../provider/kernel/bpf-layout";
import { withConstants } from "../../provider/kernel/bpf-object";
import { BPF_APPLY_FUNCTIONS } from "../../provider/program/bpf";
import { HOOKS_FUNCTIONS } from "../../provider/program/hooks";
import { devicesIn } from "../../provider/runtime/program-objects";
import { netCounter } from "../lab";
import { compiled, countersIn, hex, SOURCES } from "./kernel";
import { MAKE_MAPS } from "./maps";

export const EGRESS = "203.0.113.200";
/** Another address of the outside, with a byte of a source route (RFC 791: 131). */
export const RECORDED = "203.0.113.131";
export const PODS = { pod: "10.0.1.11", other: "10.0.1.12" } as const;
const CLIENT = { underlay: "192.168.0.11", mac: "66:26:00:00:00:0b", tunnel: "100.126.0.11" };
const GATEWAY = { underlay: "192.168.0.101", mac: "66:26:00:00:00:65", tunnel: "100.126.0.101" };
/** The gateway node could have pods too. */
const NODES = {
  client: { ...CLIENT, objects: ["client"], uplink: "eth0" },
  gateway: { ...GATEWAY, objects: ["client", "gateway"], uplink: "outside" },
} as const;

type Host = "pod" | "other" | "client" | "gateway" | "outside";
type Node = keyof typeof NODES;
const HOSTS: readonly Host[] = ["pod", "other", "client", "gateway", "outside"];

/** Whether the programs encapsulate on their own. */
export type Way = "own" | "device";

/** Where each program is attached: on one hook in the order in which a packet meets them. */
const ATTACHED: Readonly<Record<Node, readonly (readonly [string, "ingress" | "egress", string, ObjectName])[]>> = {
  client: [
    ["pod", "ingress", "from_pod", "client"],
    ["other", "ingress", "from_pod", "client"],
    ["egw.vxlan", "ingress", "from_gateway", "client"],
    ["eth0", "ingress", "uplink_client", "client"],
    ["egw.vxlan", "egress", "to_tunnel", "client"],
  ],
  gateway: [
    ["eth0", "ingress", "uplink_client", "client"],
    ["eth0", "ingress", "uplink_gateway", "gateway"],
    ["egw.vxlan", "ingress", "from_gateway", "client"],
    ["egw.vxlan", "ingress", "from_client", "gateway"],
    ["egw.vxlan", "egress", "to_tunnel", "client"],
    ["outside", "ingress", "from_outside", "gateway"],
    ["outside", "egress", "to_outside", "gateway"],
  ],
};
/** What keeps the gateway node's stack from translating what comes by the tunnel. */
const TRANSLATES: readonly string[] = ["from_client", "uplink_gateway"];

/**
 * Two pods — client node ══ tunnel ══ gateway node — outside, each in a network namespace of its own. A rule of the client node
 * stands for what its stack would choose, one of the gateway node for its translation. Checksums are neither made nor believed by devices at the ends.
 */
export class Path {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-path-"));
  private readonly objects = new Map<string, Buffer>();
  private readonly children: ChildProcess[] = [];
  private loads = 0;

  static start(): Path {
    const made = new Path();
    made.wire();
    return made;
  }

  stop(): void {
    for (const child of this.children) child.kill("SIGKILL");
    for (const host of HOSTS) execFileSync("ip", ["netns", "del", this.name(host)]);
    for (const node of ["client", "gateway"] as const) execFileSync("umount", [this.pins(node)]);
    fs.rmSync(this.folder, { recursive: true });
  }

  /** Programs of both nodes in place of those before, as a batch does it; they use the tunnel's device, or pass it by. */
  load(way: Way): void {
    this.loads++;
    for (const node of ["client", "gateway"] as const) {
      if (this.loads === 1) this.tools(node, [["egw_bpf_maps", MAKE_MAPS]]);
      const { objects, uplink } = NODES[node];
      for (const object of objects) this.object(node, object, way);
      this.tools(node, [
        [
          "egw_bpf_programs",
          objects.map((one) => `load ${one} ${this.loads} egw.vxlan ${uplink} ${OBJECTS[one].maps.join()}`),
        ],
        ["egw_filters", ATTACHED[node].map((place) => `attach ${place.join(" ")} ${this.loads}`)],
        ["egw_bpf_programs", objects.map((one) => `unload ${one} ${this.loads - 1}`)],
        ["egw_tidy_bpf", []],
      ]);
      if (this.loads === 1) this.fill(node);
    }
  }

  /** The gateway node with its stack alone towards the outside, for as long as something lasts. */
  withoutTranslation<T>(act: () => T): T {
    const of = ATTACHED.gateway.filter(([, , program]) => TRANSLATES.includes(program));
    const lines = (verb: string) =>
      of.map(([device, direction, program]) => `${verb} ${device} ${direction} ${program}`);
    this.tools("gateway", [["egw_filters", lines("detach")]]);
    try {
      return act();
    } finally {
      this.tools("gateway", [["egw_filters", lines("restore")]]);
    }
  }

  /** How often the programs of a node have come to that, `hook verdict`. */
  counted(node: Node, name: string): number {
    const all = countersIn(this.inside(node, "bpftool", "-j", "map", "dump", "pinned", this.map(node, "egw_verdicts")));
    if (process.env.EGW_DEBUG)
      console.info(
        node,
        [...all].filter(([, n]) => n > 0),
      );
    return all.get(name) ?? 0;
  }

  /** Datagrams of these sizes from one socket of a pod: the port by which each has come to the outside, if it has. */
  send(pod: keyof typeof PODS, source: string, port: number, ...sizes: readonly number[]): (number | null)[] {
    const words = [source, port, ...sizes].map(String);
    return JSON.parse(this.inside(pod, "python3", path.join(__dirname, "talk.py"), "send", ...words));
  }

  /** Starts test/bpf/talk.py, and comes back when it is ready. `end` ends its input and gives what it then says. */
  async talk(host: Host, what: "serve" | "hold"): Promise<{ readonly end: () => Promise<string> }> {
    const command = ["netns", "exec", this.name(host), "python3", path.join(__dirname, "talk.py"), what];
    const child = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
    this.children.push(child);
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => (await lines.next()).value ?? "";
    if ((await next()) !== "ready") throw new Error(`${what} is not ready`);
    return {
      end: () => {
        child.stdin.end();
        return next();
      },
    };
  }

  /** From now on the ends leave their checksums to devices, and the nodes' devices towards them make what is left. */
  offload(): void {
    for (const host of ["pod", "outside"] as const) this.inside(host, "ethtool", "-K", "eth0", "tx", "on");
    this.inside("gateway", "ethtool", "-K", "outside", "tx", "off");
    this.inside("client", "ethtool", "-K", "pod", "tx", "off");
  }

  /** From now on the nodes' devices towards each other cut aggregates before they send them. */
  cut(): void {
    for (const node of ["client", "gateway"] as const)
      this.inside(node, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off");
  }

  call(what: "call" | "options" = "call"): unknown {
    return JSON.parse(this.inside("pod", "python3", path.join(__dirname, "talk.py"), what));
  }

  /** Calls, and has tcpdump judge the checksums of what came to both ends: how many are right, and the lines of those that are not. */
  judged(): { readonly right: number; readonly wrong: readonly string[] } {
    const file = (host: Host) => path.join(this.folder, `${host}.pcap`);
    const ends = ["pod", "outside"] as const;
    const dumps = ends.map(
      (
        host,
      ) => `ip netns exec ${this.name(host)} tcpdump -Z root -n -U -B 8192 -Q in -i eth0 -w ${file(host)} 2> ${file(host)}.log &
p="$p $!"; while ! grep -q 'listening on' ${file(host)}.log; do sleep 0.05; done`,
    );
    const call = `ip netns exec ${this.name("pod")} python3 ${path.join(__dirname, "talk.py")} call`;
    const script = `${dumps.join("\n")}\n${call} > /dev/null; sleep 0.5; kill $p; wait\n`;
    execFileSync("timeout", ["60", "sh", "-c", script]);
    const lines = ends.flatMap((host) =>
      execFileSync("tcpdump", ["-Z", "root", "-n", "-vv", "-r", file(host)], { encoding: "utf8", stdio: "pipe" }).split(
        "\n",
      ),
    );
    return {
      right: lines.filter((line) => /\(correct\)|udp sum ok/.test(line)).length,
      wrong: lines.filter((line) => /incorrect|bad .*cksum|wrong/i.test(line)),
    };
  }

  /**
   * How many TCP segments the ends of all connections have sent again and nobody had yet, so that were lost on the way: what came
   * twice the receiver tells (duplicate SACK, RFC 2883).
   */
  lost(): number {
    const at = (host: Host, file: string, kind: string, name: string): number =>
      netCounter(this.inside(host, "cat", `/proc/net/${file}`), kind, name);
    const ends = ["pod", "other", "outside"] as const;
    return ends.reduce(
      (sum, host) => sum + at(host, "snmp", "Tcp", "RetransSegs") - at(host, "netstat", "TcpExt", "TCPDSACKRecv"),
      0,
    );
  }

  inside(host: Host, ...command: readonly [string, ...string[]]): string {
    return execFileSync("ip", ["netns", "exec", this.name(host), ...command], { encoding: "utf8" });
  }

  /** Tools of a batch with their lines, in a node's network. */
  private tools(node: Node, calls: readonly (readonly [string, readonly string[]])[]): void {
    const lines = calls.map(
      ([tool, input]) => `${tool} <<'END' || exit 1\n${input.map((one) => `${one}\n`).join("")}END`,
    );
    const script = `T=${this.folder} BPF=${this.pins(node)} egw_limit=\n${HOOKS_FUNCTIONS}${BPF_APPLY_FUNCTIONS}\n${lines.join("\n")}\n`;
    execFileSync("ip", ["netns", "exec", this.name(node), "sh", "-s"], { input: script, stdio: "pipe" });
  }

  /** An object as a batch finds it, with all constants but those of the node's devices, and where these are. */
  private object(node: Node, name: ObjectName, way: Way): void {
    const { mac, underlay } = NODES[node];
    const bytes = this.objects.get(name) ?? compiled(path.join(SOURCES, `${name}.bpf.c`), this.folder);
    this.objects.set(name, bytes);
    const constants = {
      tunnel_mac: write("mac", mac),
      tunnel_port: write("port", way === "own" ? 4790 : 0),
      node_address: write("address", underlay),
    };
    const file = path.join(this.folder, `object-${name}-${this.loads}`);
    fs.writeFileSync(file, withConstants(bytes, constants));
    const devices = devicesIn(name, bytes).map(({ device, at }) => `${device} ${at}\n`);
    fs.writeFileSync(`${file}.devices`, devices.join(""));
  }

  private fill(node: Node): void {
    const set = (map: string, key: Buffer, value: Buffer) =>
      this.inside(
        node,
        ...["bpftool", "map", "update", "pinned", this.map(node, map)],
        ...["key", ...hex(key), "value", ...hex(value)],
      );
    for (const source of Object.values(PODS))
      set(
        "egw_policies",
        encode("egw_policy_key", { prefix_length: 56, source, destination: "203.0.113.0" }),
        encode("egw_policy", { egress_ip: EGRESS, gateway: GATEWAY.underlay }),
      );
    set("egw_peers", write("address", GATEWAY.underlay), write("mac", GATEWAY.mac));
    set("egw_underlays", write("mac", GATEWAY.mac), write("address", GATEWAY.underlay));
    if (node === "client") return;
    set("egw_egress_ips", write("address", EGRESS), write("u32", 1));
    set("egw_fleet", write("address", CLIENT.underlay), write("u32", 1));
  }

  private wire(): void {
    for (const host of HOSTS) {
      execFileSync("ip", ["netns", "add", this.name(host)]);
      this.ip(host, "link set lo up");
    }
    for (const pod of ["pod", "other"] as const) this.cable(pod, "eth0", "client", pod);
    // As long as what the tunnel takes, as pods of an overlay have it, and longer.
    for (const [host, device] of [
      ["pod", "eth0"],
      ["client", "pod"],
    ] as const)
      this.ip(host, `link set ${device} mtu 1450`);
    this.cable("client", "eth0", "gateway", "eth0");
    this.cable("gateway", "outside", "outside", "eth0");
    for (const [pod, address] of Object.entries(PODS) as [keyof typeof PODS, string][]) {
      const router = "169.254.1.1";
      this.ip(
        pod,
        `addr add ${address}/32 dev eth0`,
        `route add ${router} dev eth0`,
        `route add default via ${router}`,
      );
      this.ip("client", `addr add ${router}/32 dev ${pod}`, `route add ${address} dev ${pod}`);
    }
    this.ip("client", `addr add ${CLIENT.underlay}/24 dev eth0`);
    this.ip(
      "gateway",
      `addr add ${GATEWAY.underlay}/24 dev eth0`,
      "addr add 203.0.113.1/24 dev outside",
      `addr add ${EGRESS}/32 dev outside`,
    );
    this.ip("outside", "addr add 203.0.113.9/24 dev eth0", `addr add ${RECORDED}/24 dev eth0`);
    for (const [node, { mac, tunnel }] of Object.entries(NODES) as [Node, (typeof NODES)[Node]][]) {
      const settings = ["ip_forward=1", "conf.all.rp_filter=0", "conf.default.rp_filter=0"];
      this.inside(node, "sysctl", "-qw", ...settings.map((one) => `net.ipv4.${one}`));
      this.ip(
        node,
        `link add egw.vxlan address ${mac} mtu 1450 type vxlan external dstport 4790`,
        `addr add ${tunnel}/32 dev egw.vxlan`,
        "link set egw.vxlan up",
      );
      fs.mkdirSync(this.pins(node));
      execFileSync("mount", ["-t", "bpf", "bpf", this.pins(node)]);
    }
    this.ip(
      "client",
      `neigh add ${GATEWAY.tunnel} lladdr ${GATEWAY.mac} dev egw.vxlan nud permanent`,
      `route add default via ${GATEWAY.tunnel} dev egw.vxlan onlink table 3000 encap ip id 4097 dst ${GATEWAY.underlay}`,
      ...Object.entries(PODS).map(([pod, address]) => `rule add from ${address} iif ${pod} lookup 3000`),
    );
    for (const pod of Object.keys(PODS)) this.inside("client", "sysctl", "-qw", `net.ipv4.conf.${pod}.rp_filter=1`);
    this.ip(
      "gateway",
      `neigh add ${CLIENT.tunnel} lladdr ${CLIENT.mac} dev egw.vxlan nud permanent`,
      `route add 10.0.1.0/24 via ${CLIENT.tunnel} dev egw.vxlan onlink encap ip id 4097 dst ${CLIENT.underlay}`,
    );
    const translation = ["POSTROUTING", "-s", "10.0.1.0/24", "-o", "outside", "-j", "SNAT", "--to-source", EGRESS];
    this.inside("gateway", "iptables", "-w", "-t", "nat", "-A", ...translation);
    // A device that makes no checksums has the stack make them; one that believes none has it compare them.
    for (const host of ["pod", "other", "outside"] as const)
      this.inside(host, "ethtool", "-K", "eth0", "rx", "off", "tx", "off");
  }

  private cable(one: Host, device: string, other: Host, otherDevice: string): void {
    const ends = ["link", "add", device, "netns", this.name(one), "type", "veth", "peer", "name", otherDevice];
    execFileSync("ip", [...ends, "netns", this.name(other)]);
    this.ip(one, `link set ${device} up`);
    this.ip(other, `link set ${otherDevice} up`);
  }

  private ip(host: Host, ...lines: readonly string[]): void {
    for (const line of lines) execFileSync("ip", ["-n", this.name(host), ...line.split(" ")]);
  }

  private readonly name = (host: Host): string => `egw-path-${process.pid}-${host}`;
  private readonly pins = (node: Node): string => path.join(this.folder, node);
  private readonly map = (node: Node, name: string): string =>
    path.join(this.pins(node), `maps-${LAYOUT_VERSION}`, name);
}
