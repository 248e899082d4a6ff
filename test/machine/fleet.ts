import * as path from "node:path";
import { gunzipSync } from "node:zlib";
import { write } from "../../provider/kernel/bpf-layout";
import { withConstants } from "../../provider/kernel/bpf-object";
import type { Claim } from "../../provider/model/claim";
import { applyScript, type Batch } from "../../provider/program/apply";
import { BPF_APPLY_FUNCTIONS } from "../../provider/program/bpf";
import { HOOKS_FUNCTIONS } from "../../provider/program/hooks";
import { probeScript } from "../../provider/program/shell-probe";
import { describe, diff } from "../../provider/reconcile/diff";
import { batchFor } from "../../provider/runtime/batch";
import { COMPILER, compiledOn, parseSnapshot, type Snapshot } from "../../provider/runtime/snapshot";
import { countersIn } from "../bpf/kernel";
import { RECORDED } from "../bpf/path";
import { gatewayClaim, NODES, nodeClaim, peer, policyClaim } from "../unit/reconcile/states";
import { Machine } from "./machine";

export const POD = "10.0.1.11";
export const EGRESS = "192.0.2.1";
export const OUTSIDE = "203.0.113.9";
const BPF = "/sys/fs/bpf/pulumi-egress";

const NODE_NAMES = ["client-1", "gateway-1"] as const;
export type Node = (typeof NODE_NAMES)[number];
export type Host = Node | "pod" | "outside";
const HOSTS: readonly Host[] = ["pod", "client-1", "gateway-1", "outside"];

/** How programs put packets into the tunnel: on their own where the kernel lets them, or by the tunnel's device. */
export type Way = "own" | "device";

const FLEET_NODES = { "client-1": peer("client-1", false), "gateway-1": peer("gateway-1", true) };
const enrolled = (node: Node): Claim[] => [nodeClaim(node)];
const claimsOf = (node: Node): Claim[] => [
  ...enrolled(node),
  gatewayClaim({ datapath: "bpf", nodes: FLEET_NODES, placement: { [EGRESS]: "gateway-1" } }),
  policyClaim("policy-1", { sources: [`${POD}/32`], egressIP: EGRESS }),
];

/** Where each host has its own network, mounts and state. */
const APART = `for h in ${HOSTS.join(" ")}; do
  unshare --net --mount --propagation private sleep infinity </dev/null >/dev/null 2>&1 &
  echo $! > /run/host-$h
done
for h in ${HOSTS.join(" ")}; do
  p=$(cat /run/host-$h)
  while [ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] || [ "$(readlink /proc/$p/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.05; done
  echo $h $p
done
ip link add switch type bridge
ip link set switch up
`;

/** A cable from `eth0` of a host to the switch. */
const plugged = (host: Host, number: number, process: string): string => `
ip link add port${number} type veth peer name eth0 netns ${process}
ip link set port${number} master switch up
# ${host}`;

const OWN_MOUNTS = `mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
`;

const ROUTER = "169.254.1.1";
const WIRING: Readonly<Record<Host, string>> = {
  "client-1": `sysctl -qw net.ipv4.ip_forward=1
ip addr add ${NODES["client-1"].underlay}/24 dev eth0
ip link set eth0 up
ip route add default via 192.168.0.1
ip addr add ${ROUTER}/32 dev veth1
ip link set veth1 mtu 1450 up
ip route add ${POD} dev veth1`,
  "gateway-1": `sysctl -qw net.ipv4.ip_forward=1
ip addr add ${NODES["gateway-1"].underlay}/24 dev eth0
ip link set eth0 up
ip route add default via 192.168.0.1`,
  pod: `ip addr add ${POD}/32 dev eth0
ip link set eth0 mtu 1450 up
ip route add ${ROUTER} dev eth0
ip route add default via ${ROUTER}`,
  outside: `ip addr add 192.168.0.1/24 dev eth0
ip addr add ${OUTSIDE}/32 dev eth0
ip addr add ${RECORDED}/32 dev eth0
ip link set eth0 up
ip route add ${EGRESS} via ${NODES["gateway-1"].underlay}`,
};

/** Two nodes in one machine, programmed by the provider's own scripts: pod — client-1 ══ gateway-1 — outside. */
export class Fleet {
  private readonly batches = new Map<Node, Batch>();

  private constructor(
    readonly machine: Machine,
    private readonly processes: ReadonlyMap<string, string>,
  ) {}

  static async start(release: string): Promise<Fleet> {
    const machine = await Machine.boot(release, { "talk.py": path.join(__dirname, "../bpf/talk.py") });
    try {
      const said = await machine.must(APART);
      const processes = new Map(said.split("\n").map((line) => line.split(" ", 2) as [string, string]));
      const fleet = new Fleet(machine, processes);
      await fleet.wire();
      return fleet;
    } catch (error) {
      machine.stop(true);
      throw error;
    }
  }

  /** What a shell script prints on a host. */
  on(host: Host, script: string): Promise<string> {
    const process = this.processes.get(host);
    if (!process) throw new Error(`there is no host ${host}`);
    return this.machine.must(script, process);
  }

  /** Both nodes get the gateway and its policy; gives what a preview would then still find. */
  async up(): Promise<string[]> {
    const left = await Promise.all(NODE_NAMES.map((node) => this.apply(node, claimsOf(node))));
    return left.flatMap(differences);
  }

  /** Programs that encapsulate in another way, in place of those that `up` has loaded, by what a batch loads and attaches with. */
  async reload(way: Way): Promise<void> {
    await Promise.all(NODE_NAMES.map((node) => this.on(node, reloading(this.batches.get(node), way))));
  }

  /** Both nodes lose the gateway and its policy, and stay enrolled; gives what is left there of programs, maps and filters. */
  async down(): Promise<string[]> {
    const left = await Promise.all(NODE_NAMES.map((node) => this.apply(node, enrolled(node))));
    const seen = `ls -d ${BPF}/* 2>/dev/null; tc filter show dev eth0 ingress; tc qdisc show | grep clsact; :`;
    const pins = await Promise.all(NODE_NAMES.map((node) => this.on(node, seen)));
    return [...left.flatMap(differences), ...pins.filter(Boolean)];
  }

  /** Programs of ours on hooks, `device direction program`, in the order in which a packet meets them; and how many the kernel has translated to its own code. */
  async programs(node: Node): Promise<{ readonly filters: string[]; readonly jited: number }> {
    const filters = await this.on(
      node,
      `bpftool net show | awk '$2 ~ /^clsact/ { sub(/[(].*/, "", $1); sub(/.*[/]/, "", $2); sub(/:.*/, "", $3); print $1, $2, $3 }'`,
    );
    const jited = await this.on(
      node,
      `for f in ${BPF}/*-*-*-*/egw-*; do bpftool prog show pinned $f; done | grep -c jited`,
    );
    return { filters: filters.split("\n").filter(Boolean), jited: Number(jited) };
  }

  /** How often programs of a node have come to each `hook verdict`. */
  async counters(node: Node): Promise<Map<string, number>> {
    return countersIn(await this.on(node, `bpftool -j map dump pinned ${BPF}/maps-*/egw_verdicts`));
  }

  private async wire(): Promise<void> {
    const process = (host: Host) => this.processes.get(host) ?? "";
    for (const host of HOSTS) await this.on(host, OWN_MOUNTS);
    await this.machine.must(
      `${(["client-1", "gateway-1", "outside"] as const).map((host, i) => plugged(host, i, process(host))).join("\n")}
ip link add veth1 netns ${process("client-1")} type veth peer name eth0 netns ${process("pod")}\n`,
    );
    for (const host of HOSTS) await this.on(host, WIRING[host]);
    // A device that makes no checksums has the stack make them; one that believes none has it compare them.
    for (const host of ["pod", "outside"] as const) await this.on(host, "ethtool -K eth0 rx off tx off >&2");
    await this.on(
      "outside",
      "setsid python3 /talk.py serve > /tmp/serve 2>&1 < /dev/null & while ! grep -q ready /tmp/serve; do sleep 0.1; done",
    );
  }

  private async apply(node: Node, claims: readonly Claim[]): Promise<Snapshot> {
    const { batch } = batchFor(parseSnapshot(await this.on(node, probeScript(COMPILER))), claims);
    this.batches.set(node, batch);
    const told = await this.on(node, applyScript(batch));
    const at = told.indexOf("@@applied");
    if (at < 0) throw new Error(`${node}: ${told.slice(-4000)}`);
    return parseSnapshot(told.slice(at));
  }
}

const differences = (snapshot: Snapshot): string[] => diff(compiledOn(snapshot), snapshot.actual, "node").map(describe);

/** What of a batch loads programs and attaches them, with objects for another way. */
function reloading(batch: Batch | undefined, way: Way): string {
  const { steps, objects } = batch ?? { steps: [], objects: [] };
  const of = (wanted: string) => steps.filter(({ tool }) => tool === wanted).flatMap(({ input }) => input);
  const files = objects.map(({ name, hash, lines, devices }) => {
    const object = gunzipSync(Buffer.from(lines.join(""), "base64"));
    const other = withConstants(object, { tunnel_port: write("port", way === "own" ? 4790 : 0) });
    const numbers = devices.map(({ device, at }) => `${device} ${at}\n`).join("");
    return `echo ${other.toString("base64")} | base64 -d > $T/object-${name}-${hash}
printf '${numbers}' > $T/object-${name}-${hash}.devices`;
  });
  return `T=/tmp; BPF=${BPF}; egw_limit=
${HOOKS_FUNCTIONS}
${BPF_APPLY_FUNCTIONS}
${files.join("\n")}
egw_bpf_programs <<'END' && egw_filters <<'END2' && egw_tidy_bpf
${of("bpf-program").join("\n")}
END
${of("tc").join("\n")}
END2
`;
}
