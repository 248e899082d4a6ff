import { readFileSync } from "node:fs";
import * as os from "node:os";
import { run } from "../test/lab/run";

/** Where and when figures were made; without this they mean nothing. */
export interface Machine {
  readonly date: string;
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGB: number;
  readonly kernel: string;
  readonly system: string;
  /** Processes that wanted a core, on average over the minute before the start. */
  readonly load: number;
  readonly versions: Readonly<Record<string, string>>;
}

const tools: Readonly<Record<string, readonly string[]>> = {
  iperf3: ["iperf3", "--version"],
  iptables: ["iptables", "--version"],
  ipset: ["ipset", "--version"],
  iproute2: ["ip", "-V"],
  python3: ["python3", "--version"],
  sshd: ["ssh", "-V"],
  pulumi: [process.env.EGW_PULUMI ?? "pulumi", "version"],
};

export async function describeMachine(): Promise<Machine> {
  const versions = await Promise.all(
    Object.entries(tools).map(async ([name, argv]) => [name, await versionOf(argv)] as const),
  );
  const [cpu] = os.cpus();
  return {
    date: new Date().toISOString(),
    cores: os.availableParallelism(),
    cpu: cpu?.model.trim() ?? "unknown",
    memoryGB: Math.round(os.totalmem() / 1e9),
    kernel: os.release(),
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? process.platform,
    load: loadNow(),
    versions: { node: process.versions.node, ...Object.fromEntries(versions) },
  };
}

export const loadNow = (): number => Math.round((os.loadavg()[0] ?? 0) * 100) / 100;

/** True where others want the cores too: then even ratios are loose. */
export const isBusy = (load: number): boolean => load > os.availableParallelism() / 2;

async function versionOf(argv: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(argv, { timeoutMs: 10_000 });
    return /\d+\.\d+[^\s,)]*/.exec(stdout || stderr)?.[0] ?? "unknown";
  } catch {
    return "none";
  }
}

/** Of the cores' clock; 0 where the machine does not tell. Node's own figure is 0 in some guests. */
export const megahertz = (): number =>
  Math.round(Number(/^cpu MHz\s*:\s*([\d.]+)/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? 0));
