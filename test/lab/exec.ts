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
  const { role, namespace } = found(lab, host);
  const network = ["nsenter", `--net=/run/netns/${namespace}`, "--"];
  return role === "operator" ? [...network, ...withoutLabs(lab)] : network;
}

/** As enter, but with the files of the machine. */
export function enterNetwork(lab: Lab, host: string): string[] {
  return ["nsenter", `--net=/run/netns/${found(lab, host).namespace}`, "--"];
}

function found(lab: Lab, host: string): { readonly namespace: string; readonly role?: string } {
  const known = [...lab.hosts, ...lab.pods];
  const one = known.find((candidate) => candidate.name === host);
  if (one !== undefined) return one;
  throw new Error(
    `lab "${lab.name}" has no host ${JSON.stringify(host)}; it has ${known.map(({ name }) => name).join(", ")}`,
  );
}

/** The operator's way to a node is SSH: of all that labs keep it sees its own folder, with its key and the nodes' host keys, and the lab's plan. */
function withoutLabs({ directory }: Lab): string[] {
  // As a slave of the machine's mounts, so that a namespace that goes there goes here too.
  const unshared = ["unshare", "--mount", "--propagation", "slave", "--"];
  return [...unshared, "sh", "-c", HIDE, "operator", path.dirname(directory), path.join(directory, "operator")];
}

const HIDE = `umount -l /run/netns 2>/dev/null
plan=$(cat "\${2%/*}/lab.json")
mount --bind "$2" /mnt && mount -t tmpfs -o mode=755,size=1m tmpfs "$1" && mkdir -p "$2" && mount --move /mnt "$2" || exit
printf '%s\\n' "$plan" >"\${2%/*}/lab.json"
shift 2
exec "$@"`;

/** Runs a command on a host or in a pod; on a node with the node's own mounts. */
export function exec(lab: Lab, host: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run([...enter(lab, host), ...argv], options);
}

/** As exec, but any exit code other than 0 is an error; gives stdout. */
export function execOk(lab: Lab, host: string, argv: readonly string[], options: RunOptions = {}): Promise<string> {
  return runOk([...enter(lab, host), ...argv], options);
}
