import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import type { KernelObject, Owned } from "../../provider/kernel/state";
import type { Claim } from "../../provider/model/claim";
import { applyScript } from "../../provider/program/apply";
import { probeScript } from "../../provider/program/shell-probe";
import { describe as describeDifference, diff } from "../../provider/reconcile/diff";
import type { Step } from "../../provider/reconcile/step";
import { batchFor } from "../../provider/runtime/batch";
import { COMPILER, compiledOn, parseSnapshot, type Snapshot } from "../../provider/runtime/snapshot";

/** A step that no kernel can do: all before it is undone. */
const FAILING: Step = { tool: "ip", input: ["link set nobody up"], undo: [] };

/**
 * A node of its own in this kernel: a network, an uplink `eth0` that counts what comes in, pods behind `veth1` and `veth2`, a BPF file system.
 * What is probed and applied are the real programs.
 */
export class ProgramNode {
  private readonly holder: ChildProcess;

  private constructor() {
    const unshare = ["--net", "--mount", "--propagation", "private", "sleep", "infinity"];
    this.holder = spawn("unshare", unshare, { stdio: "ignore" });
  }

  /** `number`: the one that its device `veth2` is to have. */
  static async start(underlay: string, number = 5): Promise<ProgramNode> {
    const node = new ProgramNode();
    while (!node.isApart()) await new Promise((done) => setTimeout(done, 10));
    try {
      node.wire(underlay, number);
      return node;
    } catch (error) {
      node.stop();
      throw error;
    }
  }

  private wire(underlay: string, number: number): void {
    this.must(`mount -t tmpfs tmpfs /var/lib; mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys; mount -t bpf bpf /sys/fs/bpf
ip link set lo up; ip link add eth0 index 100 type veth peer name switch index 101
ip addr add ${underlay}/24 dev eth0; ip link set switch up; ip link set eth0 up
ip route add default via 192.168.0.1
sysctl -qw net.ipv4.ip_forward=1`);
    for (const pod of [1, 2])
      this.must(
        `ip link add veth${pod} index ${number + 2 - pod} type veth peer name pod${pod} index ${200 + pod}; ip link set veth${pod} up; ip link set pod${pod} up; ip route add 10.0.1.1${pod} dev veth${pod}`,
      );
  }

  stop(): void {
    this.holder.kill("SIGKILL");
  }

  run(script: string): { status: number | null; stdout: string; stderr: string } {
    const enter = ["--target", String(this.holder.pid), "--net", "--mount", "--", "sh", "-s"];
    return spawnSync("nsenter", enter, { input: script, encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  }

  must(script: string): string {
    const { status, stdout, stderr } = this.run(script);
    if (status !== 0) throw new Error(`${script} ended with ${status}: ${stderr}${stdout}`);
    return stdout;
  }

  probe(): Snapshot {
    return parseSnapshot(this.must(probeScript(COMPILER)));
  }

  /**
   * Makes its claims these; gives what the kernel then shows. `between`: what somebody does after the probe; `first`: what the
   * batch does first.
   */
  apply(claims: readonly Claim[], between = ":", first = ":"): Snapshot {
    const { batch } = batchFor(this.probe(), claims);
    this.must(between);
    const told = this.must(`${first}\n${applyScript(batch)}`);
    if (!told.includes("@@applied")) throw new Error(told.slice(0, 4000));
    return parseSnapshot(told.slice(told.indexOf("@@applied")));
  }

  /** The same with a step that fails behind all others; gives what the node says to that. `instead`: as of `tell`. */
  fail(claims: readonly Claim[], instead = ":"): string {
    const { batch } = batchFor(this.probe(), claims);
    return this.must(within(applyScript({ ...batch, steps: [...batch.steps, FAILING] }), instead));
  }

  /** The tool of each step of a batch that makes its claims these, in order. */
  tools(claims: readonly Claim[]): string[] {
    return batchFor(this.probe(), claims).batch.steps.map(({ tool }) => tool);
  }

  /** A batch with shell functions instead of its own; gives what the node says to that. */
  tell(claims: readonly Claim[], instead: string): string {
    return this.must(within(applyScript(batchFor(this.probe(), claims).batch), instead));
  }

  /** Programs on hooks in the order in which a packet meets them. */
  filters(): string {
    return this.must("bpftool net show | sed -n '/^tc:/,/^flow/p' | sed 's/([0-9]*)//; s/ id [0-9]*//'");
  }

  /** The same with hooks and folders of pins, as the plain tools show them. */
  shown(): string {
    return (
      this.filters() +
      this.must(`tc qdisc show | sed -n 's/^qdisc clsact .* dev \\([^ ]*\\) .*/clsact \\1/p'
[ ! -d /sys/fs/bpf/pulumi-egress ] || find /sys/fs/bpf/pulumi-egress | sed 's/-[0-9]*-[0-9]*\\b//; s/clsact.[0-9]*/clsact/' | sort`)
    );
  }

  /** Whether the holder has left our own network. */
  private isApart(): boolean {
    const script = `[ "$(readlink /proc/${this.holder.pid}/ns/net)" != "$(readlink /proc/self/ns/net)" ] && [ "$(readlink /proc/${this.holder.pid}/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]`;
    return spawnSync("sh", ["-c", script]).status === 0;
  }
}

/** A batch with functions of our own behind its own. */
export const within = (script: string, functions: string): string =>
  script.replace("\negw_main() {", () => `\n${functions}\negw_main() {`);

const programKinds: readonly KernelObject["kind"][] = ["bpf-map", "bpf-entry", "bpf-program", "tc-filter"];
const isOfPrograms = ({ kind }: KernelObject): boolean => programKinds.includes(kind);

export const wantedOn = (snapshot: Snapshot): Owned[] => compiledOn(snapshot);
/** What preview says of programs, maps, entries and filters. */
export const differences = (snapshot: Snapshot): string[] =>
  diff(
    wantedOn(snapshot).filter(({ object }) => isOfPrograms(object)),
    snapshot.actual.filter(isOfPrograms),
    "node",
  ).map(describeDifference);
