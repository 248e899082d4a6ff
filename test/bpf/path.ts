import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as readline from "node:readline";
import { encode, write } from "../../provider/kernel/bpf-layout";
import { withConstants } from "../../provider/kernel/bpf-object";
import { compiled, hex, SOURCES } from "./kernel";

export const EGRESS = "203.0.113.200";
const POD = "10.0.1.11";
const CLIENT = { underlay: "192.168.0.11", mac: "66:26:00:00:00:0b", tunnel: "100.126.0.11" };
const GATEWAY = { underlay: "192.168.0.101", mac: "66:26:00:00:00:65", tunnel: "100.126.0.101" };
const NODES = { client: { ...CLIENT, source: "client" }, gateway: { ...GATEWAY, source: "gateway" } } as const;

type Host = "pod" | "client" | "gateway" | "outside";
type Node = keyof typeof NODES;

/** Maps of each program that outlive it. */
const MAPS = {
  client: ["egw_policies", "egw_sources", "egw_flows", "egw_peers", "egw_underlays", "egw_verdicts"],
  gateway: ["egw_policies", "egw_sources", "egw_addresses", "egw_nat_out", "egw_nat_in", "egw_verdicts"],
} as const;

/** Where each program is attached. */
const ATTACHED: readonly (readonly [Node, string, "ingress" | "egress", string])[] = [
  ["client", "pod", "ingress", "from_pod"],
  ["client", "pod", "egress", "to_pod"],
  ["client", "egw.vxlan", "ingress", "from_gateway"],
  ["client", "egw.vxlan", "egress", "to_tunnel"],
  ["gateway", "egw.vxlan", "ingress", "from_client"],
  ["gateway", "outside", "ingress", "from_outside"],
];

/**
 * pod — client node ══ tunnel ══ gateway node — outside, each in a network namespace of its own. A rule of the client node
 * stands for what its stack would choose. Checksums are neither made nor believed by devices at the ends.
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
    for (const host of ["pod", "client", "gateway", "outside"] as const)
      execFileSync("ip", ["netns", "del", this.name(host)]);
    for (const node of ["client", "gateway"] as const) execFileSync("umount", [this.pins(node)]);
    fs.rmSync(this.folder, { recursive: true });
  }

  /** Programs of both nodes in place of those before, with the maps of those before. */
  load(): void {
    this.loads++;
    for (const node of ["client", "gateway"] as const) this.loadOn(node);
    for (const [node, device, direction, program] of ATTACHED) {
      const pin = `${this.pins(node)}/${this.loads}/${program}`;
      const place = [device, direction, "prio", "1", "handle", "1", "bpf", "da", "pinned", pin] as const;
      this.inside(node, "tc", "filter", "replace", "dev", ...place);
    }
    for (const node of ["client", "gateway"] as const)
      fs.rmSync(`${this.pins(node)}/${this.loads - 1}`, { recursive: true, force: true });
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

  call(): unknown {
    return JSON.parse(this.inside("pod", "python3", path.join(__dirname, "talk.py"), "call"));
  }

  inside(host: Host, ...command: readonly [string, ...string[]]): string {
    return execFileSync("ip", ["netns", "exec", this.name(host), ...command], { encoding: "utf8" });
  }

  private loadOn(node: Node): void {
    const { source, mac } = NODES[node];
    const object = this.objects.get(source) ?? compiled(path.join(SOURCES, `${source}.bpf.c`), this.folder);
    this.objects.set(source, object);
    const [index = ""] = this.inside(node, "ip", "-o", "link", "show", "egw.vxlan").split(":");
    const file = path.join(this.folder, "patched.o");
    fs.writeFileSync(
      file,
      withConstants(object, { tunnel_ifindex: write("u32", Number(index)), tunnel_mac: write("mac", mac) }),
    );
    const maps = `${this.pins(node)}/maps`;
    const isFirst = this.loads === 1;
    const reused = MAPS[node].flatMap((name) => ["map", "name", name, "pinned", `${maps}/${name}`]);
    const load = ["prog", "loadall", file, `${this.pins(node)}/${this.loads}`] as const;
    this.inside(node, "bpftool", ...load, ...(isFirst ? ["pinmaps", maps] : reused));
    if (isFirst) this.fill(node);
  }

  private fill(node: Node): void {
    const set = (map: string, key: Buffer, value: Buffer) =>
      this.inside(
        node,
        "bpftool",
        "map",
        "update",
        "pinned",
        `${this.pins(node)}/maps/${map}`,
        "key",
        ...hex(key),
        "value",
        ...hex(value),
      );
    set(
      "egw_policies",
      encode("egw_policy_key", { prefix_length: 56, source: POD, destination: "203.0.113.0" }),
      encode("egw_policy", { egress_ip: EGRESS, gateway: GATEWAY.underlay }),
    );
    if (node === "gateway") return void set("egw_addresses", write("address", EGRESS), write("u32", 1));
    set("egw_peers", write("address", GATEWAY.underlay), write("mac", GATEWAY.mac));
    set("egw_underlays", write("mac", GATEWAY.mac), write("address", GATEWAY.underlay));
  }

  private wire(): void {
    for (const host of ["pod", "client", "gateway", "outside"] as const) {
      execFileSync("ip", ["netns", "add", this.name(host)]);
      this.ip(host, "link set lo up");
    }
    this.cable("pod", "eth0", "client", "pod");
    this.cable("client", "eth0", "gateway", "eth0");
    this.cable("gateway", "outside", "outside", "eth0");
    this.ip(
      "pod",
      `addr add ${POD}/32 dev eth0`,
      "route add 169.254.1.1 dev eth0",
      "route add default via 169.254.1.1",
    );
    this.ip(
      "client",
      "addr add 169.254.1.1/32 dev pod",
      `route add ${POD} dev pod`,
      `addr add ${CLIENT.underlay}/24 dev eth0`,
    );
    this.ip(
      "gateway",
      `addr add ${GATEWAY.underlay}/24 dev eth0`,
      "addr add 203.0.113.1/24 dev outside",
      `addr add ${EGRESS}/32 dev outside`,
    );
    this.ip("outside", "addr add 203.0.113.9/24 dev eth0");
    for (const [node, { mac, tunnel }] of Object.entries(NODES) as [Node, (typeof NODES)[Node]][]) {
      this.inside(node, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=1");
      this.ip(
        node,
        `link add egw.vxlan address ${mac} mtu 1450 type vxlan external dstport 4790`,
        `addr add ${tunnel}/32 dev egw.vxlan`,
        "link set egw.vxlan up",
      );
      for (const device of ["egw.vxlan", node === "client" ? "pod" : "outside"])
        this.inside(node, "tc", "qdisc", "add", "dev", device, "clsact");
      fs.mkdirSync(this.pins(node));
      execFileSync("mount", ["-t", "bpf", "bpf", this.pins(node)]);
    }
    this.ip(
      "client",
      `neigh add ${GATEWAY.tunnel} lladdr ${GATEWAY.mac} dev egw.vxlan nud permanent`,
      `route add default via ${GATEWAY.tunnel} dev egw.vxlan onlink table 3000 encap ip id 4097 dst ${GATEWAY.underlay}`,
      `rule add from ${POD} iif pod lookup 3000`,
    );
    // A device that makes no checksums has the stack make them; one that believes none has it compare them.
    for (const host of ["pod", "outside"] as const)
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
}
