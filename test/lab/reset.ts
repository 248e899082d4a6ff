import { askAgent } from "./agent";
import { loadBase } from "./base";
import { readDump } from "./dump";
import { diffDumps, printDiff } from "./dump-diff";
import { exec } from "./exec";
import { repairScript } from "./repair";
import { run } from "./run";
import type { Lab } from "./topology";

/**
 * Takes every node back to what it was when the lab came up, and proves it: what still differs is thrown.
 * Connections, learned neighbours, learned MTUs and everything under way in pods goes too.
 */
export async function labReset(lab: Lab): Promise<void> {
  await Promise.all([...lab.pods, ...lab.outside].map((host) => askAgent(lab, host.name, { op: "reset" })));
  await endConnections(lab);
  const results = await Promise.all([...lab.nodes.map((node) => resetNode(lab, node.name)), forget(lab)]);
  const problems = results.filter((problem) => problem !== "");
  if (problems.length > 0) throw new Error(`lab "${lab.name}" can't be reset; build it anew.\n${problems.join("\n")}`);
}

/** What differs on a node from its base, in words; empty when nothing does. */
export async function labDrift(lab: Lab, node: string): Promise<string> {
  return printDiff(diffDumps(loadBase(lab, node).dump, await readDump(lab, node)));
}

async function resetNode(lab: Lab, node: string): Promise<string> {
  const base = loadBase(lab, node);
  const diffs = diffDumps(base.dump, await readDump(lab, node));
  const repaired = await exec(lab, node, ["sh"], { input: repairScript(base, diffs) });
  if (diffs.length === 0) return "";
  const left = await labDrift(lab, node);
  return left === "" ? "" : `${node}:\n${left}\n${repaired.stderr.trim()}`;
}

/** Of pods: the kernel goes on sending for connections that nobody holds any more, while nodes forget what becomes of them. */
async function endConnections(lab: Lab): Promise<void> {
  const lines = lab.pods.map(({ namespace }) => `ss -N ${namespace} -K -t state connected >/dev/null`);
  await run(["sh"], { input: lines.join("\n") });
}

/** Learned neighbours and MTUs of all that is no node; the switch has none. */
async function forget(lab: Lab): Promise<string> {
  const hosts = [...lab.hosts.filter((host) => host.role !== "switch"), ...lab.pods];
  const lines = hosts.map(
    ({ namespace }) => `ip -n ${namespace} neigh flush all; ip -n ${namespace} route flush cache`,
  );
  await run(["sh"], { input: lines.join("\n") });
  return "";
}
