import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { connectionConstants, type Role } from "../../provider/compile/bpf-connections";
import { encode, OBJECTS, write } from "../../provider/kernel/bpf-layout";
import { withConstants } from "../../provider/kernel/bpf-object";
import { compiled, hex, SOURCES } from "./kernel";
import { CLASSIFIER, makeMaps, mapsOf } from "./maps";
import { type Event, takeEvents } from "./trace";

export const OUTSIDE = "203.0.113.9";
export const GATEWAY_POD = "10.0.2.20";
/** Client pods: one on another node than the gateway pod, one on the same. */
export const CLIENTS = { far: "10.0.1.11", near: "10.0.2.11" } as const;
/** Addresses of the nodes, and those by which they reach each other's pods where that is encapsulated. */
export const NODES = { client: "192.168.0.11", gateway: "192.168.0.101" } as const;
export const IN_CLUSTER = { client: "172.31.0.11", gateway: "172.31.0.101" } as const;
const ROUTER = "169.254.1.1";
/** Of the tunnel to the gateway pod. */
const TUNNEL = { port: 4790, address: "100.126.0.20", mac: "66:26:00:00:00:14" };
const TALK = path.join(__dirname, "talk.py");
/** SKIP_RPF with what is untracked or not; what is untracked alone. */
const SKIPS_RPF = "0x16000000/0xfe000000";
export const UNTRACKED = ["PREROUTING", "-m", "mark", "--mark", "0x17000000/0xff000000", "-j", "CT", "--notrack"];

export type Client = keyof typeof CLIENTS;
type Node = keyof typeof NODES;
type Host = Client | Node | "pod" | "outside" | "switch";
const HOSTS: readonly Host[] = ["far", "near", "pod", "client", "gateway", "outside", "switch"];

interface Device {
  readonly device: string;
  readonly as: Role;
}
const DEVICES: Readonly<Record<Node, readonly Device[]>> = {
  client: [
    { device: "far", as: { isClient: true } },
    { device: "eth0", as: {} },
    { device: "tunl", as: {} },
  ],
  gateway: [
    { device: "near", as: { isClient: true } },
    { device: "gw", as: { gatewayPod: GATEWAY_POD } },
    { device: "eth0", as: {} },
    { device: "tunl", as: {} },
  ],
};

/** An event with where it was: `client node`, and the device as seed 000 has it. */
export interface Seen extends Event {
  readonly node: string;
  readonly device: string;
}

/**
 * A gateway pod as seed 000 has it, wired by hand: its namespace decapsulates, translates to its own address and hands answers
 * on to its node; the nodes reach each other's pods by a device that encapsulates (`tunl`) or by their uplinks. Nodes drop what
 * conntrack calls invalid, and what comes by another device than its source is routed by, but for what the programs have marked.
 */
export class GatewayPod {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-pod-"));
  private readonly children: ChildProcess[] = [];

  static async start(): Promise<GatewayPod> {
    const made = new GatewayPod();
    made.wire();
    for (const node of ["client", "gateway"] as const) made.load(node);
    const server = spawn("ip", ["netns", "exec", made.name("outside"), "python3", TALK, "serve"]);
    made.children.push(server);
    await once(server.stdout, "data");
    return made;
  }

  stop(): void {
    for (const child of this.children) child.kill("SIGKILL");
    for (const host of HOSTS) execFileSync("ip", ["netns", "del", this.name(host)]);
    for (const node of ["client", "gateway"] as const) execFileSync("umount", [this.pins(node)]);
    fs.rmSync(this.folder, { recursive: true });
  }

  /** From now on nodes reach each other's pods that way. */
  reachBy(device: "eth0" | "tunl"): void {
    const via = device === "tunl" ? IN_CLUSTER : NODES;
    this.ip("client", `route replace 10.0.2.0/24 via ${via.gateway} dev ${device}`);
    this.ip("gateway", `route replace 10.0.1.0/24 via ${via.client} dev ${device}`);
  }

  /** What talk.py says in a client pod. */
  talk(client: Client, ...words: readonly string[]): unknown {
    return JSON.parse(this.inside(client, "python3", TALK, ...words));
  }

  /** What both nodes have traced since the last time, in the order in which it was. */
  seen(): Seen[] {
    const all = (["client", "gateway"] as const).flatMap((node) => {
      const devices = new Map(
        DEVICES[node].map(({ device }) => [
          this.indexOf(node, device),
          SEEDS_NAMES[device] ?? `${node} node ${device}`,
        ]),
      );
      const events = takeEvents((...command) => this.inside(node, ...command), `${this.pins(node)}/maps/egw_trace`);
      return events.map((event) => {
        const [owner = "", , device = ""] = (devices.get(event.ifindex) ?? "").split(" ");
        return { ...event, node: `${owner} node`, device };
      });
    });
    return all.sort((a, b) => Number(a.at - b.at));
  }

  inside(host: Host, ...command: readonly string[]): string {
    return execFileSync("ip", ["netns", "exec", this.name(host), ...command], { encoding: "utf8" });
  }

  ip(host: Host, ...lines: readonly string[]): void {
    for (const line of lines) execFileSync("ip", ["-n", this.name(host), ...line.split(" ")]);
  }

  private indexOf(node: Node, device: string): number {
    return Number(this.inside(node, "ip", "-o", "link", "show", device).split(":")[0]);
  }

  private load(node: Node): void {
    const object = compiled(path.join(SOURCES, "connections.bpf.c"), this.folder);
    const maps = `${this.pins(node)}/maps`;
    makeMaps((command, ...words) => this.inside(node, command, ...words), maps, "connections");
    for (const { device, as } of DEVICES[node]) {
      const fleet = { tunnelPort: TUNNEL.port };
      const constants = Object.entries(connectionConstants({ fleet }, as)).map(([name, { type, value }]) => [
        name,
        write(type, value),
      ]);
      const file = path.join(this.folder, "patched.o");
      fs.writeFileSync(file, withConstants(object, { ...Object.fromEntries(constants), trace: write("u32", 1) }));
      const programs = `${this.pins(node)}/${device}`;
      this.inside(node, "bpftool", "prog", "loadall", file, programs, ...CLASSIFIER, ...mapsOf(maps, "connections"));
      const [from, to] = device in SEEDS_NAMES ? OBJECTS.connections.programs : OBJECTS.connections.programs.slice(2);
      this.inside(node, "tc", "qdisc", "add", "dev", device, "clsact");
      for (const [direction, program] of [["ingress", from] as const, ["egress", to] as const])
        this.inside(
          node,
          ..."tc filter add dev".split(" "),
          device,
          direction,
          ..."bpf da pinned".split(" "),
          `${programs}/${program}`,
        );
    }
    const set = (map: string, key: Buffer, value: Buffer) =>
      this.inside(
        node,
        ..."bpftool map update pinned".split(" "),
        `${maps}/${map}`,
        "key",
        ...hex(key),
        "value",
        ...hex(value),
      );
    set("egw_pods", write("address", GATEWAY_POD), write("u32", 1));
    for (const source of Object.values(CLIENTS))
      set(
        "egw_policies",
        encode("egw_policy_key", { prefix_length: 56, source, destination: "203.0.113.0" }),
        encode("egw_policy", { egress_ip: GATEWAY_POD, gateway: GATEWAY_POD }),
      );
  }

  private wire(): void {
    for (const host of HOSTS) {
      execFileSync("ip", ["netns", "add", this.name(host)]);
      this.ip(host, "link set lo up");
    }
    this.ip("switch", "link add bridge type bridge", "link set bridge up");
    for (const host of ["client", "gateway", "outside"] as const) {
      this.cable(host, "eth0", "switch", host);
      this.ip("switch", `link set ${host} master bridge`);
    }
    this.ip("client", `addr add ${NODES.client}/24 dev eth0`, `route add default via ${NODES.gateway}`);
    this.ip("gateway", `addr add ${NODES.gateway}/24 dev eth0`, "addr add 203.0.113.1/24 dev eth0");
    this.ip("outside", `addr add ${OUTSIDE}/24 dev eth0`, `route add ${GATEWAY_POD} via 203.0.113.1`);
    this.pod("far", "client", "far", CLIENTS.far);
    this.pod("near", "gateway", "near", CLIENTS.near);
    this.pod("pod", "gateway", "gw", GATEWAY_POD);
    const other = { client: "gateway", gateway: "client" } as const;
    for (const [node, underlay] of Object.entries(NODES) as [Node, string][]) {
      const peer = NODES[other[node]];
      this.ip(
        node,
        `link add tunl type vxlan id 7 dstport 4789 local ${underlay} remote ${peer}`,
        `addr add ${IN_CLUSTER[node]}/24 dev tunl`,
        "link set tunl up",
        `link add egw.vxlan mtu 1400 type vxlan external dstport ${TUNNEL.port}`,
        "link set egw.vxlan up",
        `neigh add ${TUNNEL.address} lladdr ${TUNNEL.mac} dev egw.vxlan nud permanent`,
        `route add default via ${TUNNEL.address} dev egw.vxlan onlink table 3000 encap ip id 4097 dst ${GATEWAY_POD}`,
        "rule add fwmark 0x26000100/0xffff3f00 lookup 3000",
      );
      this.filter(node);
      fs.mkdirSync(this.pins(node));
      execFileSync("mount", ["-t", "bpf", "bpf", this.pins(node)]);
    }
    this.ip(
      "pod",
      `link add egw.vxlan address ${TUNNEL.mac} mtu 1400 type vxlan external dstport ${TUNNEL.port}`,
      "link set egw.vxlan up",
    );
    this.inside(
      "pod",
      "sysctl",
      "-qw",
      "net.ipv4.ip_forward=1",
      "net.ipv4.conf.all.rp_filter=0",
      "net.ipv4.conf.egw/vxlan.rp_filter=0",
    );
    this.inside(
      "pod",
      "iptables",
      "-w",
      "-t",
      "nat",
      "-A",
      "POSTROUTING",
      "-o",
      "eth0",
      "!",
      "-s",
      GATEWAY_POD,
      "-j",
      "MASQUERADE",
    );
    this.reachBy("tunl");
  }

  /** What nodes do against what is wrong. A sysctl knows nothing of marks: rp_filter is loose where answers come in. */
  private filter(node: Node): void {
    const sysctl = (name: string, value: number) => this.inside(node, "sysctl", "-qw", `net.ipv4.${name}=${value}`);
    sysctl("ip_forward", 1);
    sysctl("conf.all.rp_filter", 0);
    for (const { device } of DEVICES[node]) sysctl(`conf.${device}.rp_filter`, 1);
    sysctl(node === "gateway" ? "conf.gw.rp_filter" : "conf.tunl.rp_filter", 2);
    const rule = (...words: string[]) => this.inside(node, "iptables", "-w", "-t", ...words);
    for (const { device, as } of DEVICES[node])
      if (as.isClient)
        rule(
          "mangle",
          "-A",
          ...`PREROUTING -i ${device} -d 203.0.113.0/24 -j MARK`.split(" "),
          "--set-mark",
          "0x26000100",
        );
    rule("mangle", "-A", ..."POSTROUTING -o egw.vxlan -j MARK --set-mark 0x12000000".split(" "));
    rule("raw", "-A", ...UNTRACKED);
    rule(
      "raw",
      "-A",
      ..."PREROUTING -m mark ! --mark".split(" "),
      SKIPS_RPF,
      ..."-m rpfilter --invert -j DROP".split(" "),
    );
    rule("filter", "-A", ..."FORWARD -m conntrack --ctstate INVALID -j DROP".split(" "));
  }

  private pod(pod: Host, node: Node, device: string, address: string): void {
    this.cable(pod, "eth0", node, device);
    this.ip(pod, `addr add ${address}/32 dev eth0`, `route add ${ROUTER} dev eth0`, `route add default via ${ROUTER}`);
    this.ip(node, `addr add ${ROUTER}/32 dev ${device}`, `route add ${address} dev ${device} src ${NODES[node]}`);
  }

  private cable(one: Host, device: string, other: Host, otherDevice: string): void {
    const ends = ["link", "add", device, "netns", this.name(one), "type", "veth", "peer", "name", otherDevice];
    execFileSync("ip", [...ends, "netns", this.name(other)]);
    this.ip(one, `link set ${device} up`);
    this.ip(other, `link set ${otherDevice} up`);
  }

  private readonly name = (host: Host): string => `egw-gp-${process.pid}-${host}`;
  private readonly pins = (node: Node): string => path.join(this.folder, node);
}

/** Devices of pods as seed 000 names them: a client's node is the client's, whichever it is. */
const SEEDS_NAMES: Readonly<Record<string, string>> = {
  far: "client node client",
  near: "client node client",
  gw: "gateway node gateway",
};
