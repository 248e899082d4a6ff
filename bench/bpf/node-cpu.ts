import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Lab } from "../../test/lab";
import { runOk } from "../../test/lab/run";

/** The kernel threads that take in what comes to a node. */
export interface NodeThreads {
  readonly node: string;
  readonly pids: readonly number[];
}

/**
 * Gives each veth device of a lab a kernel thread that does all that follows the receipt of a packet until it is handed to the next
 * device's thread. So the time that a node's threads ran, to the nanosecond and whatever else the cores do, is what it spent.
 * Needs NAPI, which veth has with GRO and for senders without TSO; the lab is no good for streams afterwards.
 */
export async function giveThreads(lab: Lab): Promise<NodeThreads[]> {
  const places = [...lab.hosts, ...lab.pods];
  // All devices first, so that none still hands on by the softirq of whoever sends.
  for (const { namespace } of places)
    await inside(namespace, eachVeth("ethtool -K $d gro on tso off >/dev/null 2>&1 || exit 1"));
  const threads: NodeThreads[] = [];
  for (const { name, namespace } of places) {
    const before = new Set(napiThreads());
    await inside(namespace, eachVeth("echo 1 > /sys/class/net/$d/threaded || exit 1"));
    const pids = napiThreads().filter((pid) => !before.has(pid));
    if (lab.nodes.some((node) => node.name === name)) {
      if (pids.length === 0) throw new Error(`the devices of ${name} have got no threads`);
      threads.push({ node: name, pids });
    }
  }
  return threads;
}

/** Runs something: nanoseconds that each of these nodes spent meanwhile. */
export async function spent(
  threads: readonly NodeThreads[],
  nodes: readonly string[],
  act: () => Promise<unknown>,
): Promise<Readonly<Record<string, number>>> {
  const now = () => nodes.map((node) => timeOf(threads.find((one) => one.node === node)?.pids ?? []));
  const before = now();
  await act();
  await sleep(20);
  const after = now();
  return Object.fromEntries(nodes.map((node, i) => [node, (after[i] ?? 0) - (before[i] ?? 0)]));
}

const eachVeth = (command: string): string =>
  `for d in $(ip -o link show type veth | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/'); do ${command}; done`;

/** As `ip netns` does it, /sys shows the devices of the namespace. */
const inside = (namespace: string, script: string): Promise<string> =>
  runOk(["ip", "netns", "exec", namespace, "sh", "-c", script]);

const napiThreads = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && textOf(`/proc/${name}/comm`).startsWith("napi/"))
    .map(Number);

const timeOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + Number(textOf(`/proc/${pid}/schedstat`).split(" ")[0]), 0);

/** Nothing where the process has ended. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
