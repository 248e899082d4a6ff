import * as fs from "node:fs";
import * as path from "node:path";
import { bootPid } from "./boot-script";
import { labDirectory, removeDirectory } from "./lab-directory";
import { endProcessesIn } from "./processes";
import { run } from "./run";
import { namespaceOf } from "./topology";

const namespaceFolder = "/run/netns";

/**
 * Removes a lab, whole or half-built: the processes in its namespaces (their mounts end with them),
 * its namespaces and its directory. False when there was nothing.
 */
export async function labDown(name: string): Promise<boolean> {
  const directory = labDirectory(name);
  if (namespacesOf(name).length === 0 && !fs.existsSync(directory)) return false;
  endBoot(name);
  const namespaces = namespacesOf(name);
  await endProcessesIn(namespaces.map((namespace) => path.join(namespaceFolder, namespace)));
  // -force: where two take the same lab down, each finds some of it gone.
  const lines = namespaces.map((namespace) => `netns del ${namespace}\n`).join("");
  const { stderr } = await run(["ip", "-force", "-batch", "-"], { input: lines });
  const left = namespacesOf(name);
  if (left.length > 0) throw new Error(`these namespaces don't go: ${left.join(", ")}: ${stderr.trim()}`);
  removeDirectory(name);
  return true;
}

/** Stops a lab that is being built; does nothing to one that stands. */
export function endBoot(name: string): void {
  const directory = labDirectory(name);
  try {
    const pid = Number(fs.readFileSync(bootPid(directory), "utf8"));
    const isBoot = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${directory}/boot/`);
    if (isBoot) process.kill(pid, "SIGKILL");
  } catch {
    // it has not begun, or has ended
  }
}

/** The namespaces of a lab that are there, whatever its files say. */
export function namespacesOf(name: string): string[] {
  const prefix = namespaceOf(name, "");
  if (!fs.existsSync(namespaceFolder)) return [];
  return fs.readdirSync(namespaceFolder).filter((namespace) => namespace.startsWith(prefix));
}
