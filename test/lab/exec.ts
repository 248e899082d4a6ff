import * as fs from "node:fs";
import * as path from "node:path";
import { nodeDirectory } from "./lab-directory";
import { type RunOptions, type RunResult, run, runOk } from "./run";
import type { Lab } from "./topology";

/** The words to put before a command so that it runs on a host or in a pod. */
export function enter(lab: Lab, host: string): string[] {
  if (lab.nodes.some((node) => node.name === host)) {
    const holder = fs.readFileSync(path.join(nodeDirectory(lab, host), "holder"), "utf8").trim();
    return ["nsenter", "--target", holder, "--net", "--mount", "--uts", "--"];
  }
  const known = [...lab.hosts, ...lab.pods];
  const found = known.find((candidate) => candidate.name === host);
  if (found !== undefined) return ["nsenter", `--net=/run/netns/${found.namespace}`, "--"];
  throw new Error(
    `lab "${lab.name}" has no host ${JSON.stringify(host)}; it has ${known.map(({ name }) => name).join(", ")}`,
  );
}

/** Runs a command on a host or in a pod; on a node with the node's own mounts. */
export function exec(lab: Lab, host: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run([...enter(lab, host), ...argv], options);
}

/** As exec, but any exit code other than 0 is an error; gives stdout. */
export function execOk(lab: Lab, host: string, argv: readonly string[], options: RunOptions = {}): Promise<string> {
  return runOk([...enter(lab, host), ...argv], options);
}
