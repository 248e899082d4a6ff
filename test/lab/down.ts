import * as fs from "node:fs";
import * as path from "node:path";
import { labDirectory, removeDirectory } from "./lab-directory";
import { endProcessesIn } from "./processes";
import { runOk } from "./run";
import { namespaceOf } from "./topology";

const namespaceFolder = "/run/netns";

/**
 * Removes a lab, whole or half-built: the processes in its namespaces (their mounts end with them),
 * its namespaces and its directory. False when there was nothing.
 */
export async function labDown(name: string): Promise<boolean> {
  const directory = labDirectory(name);
  const namespaces = namespacesOf(name);
  if (namespaces.length === 0 && !fs.existsSync(directory)) return false;
  await endProcessesIn(namespaces.map((namespace) => path.join(namespaceFolder, namespace)));
  if (namespaces.length > 0) {
    await runOk(["ip", "-batch", "-"], { input: namespaces.map((namespace) => `netns del ${namespace}\n`).join("") });
  }
  removeDirectory(name);
  return true;
}

/** The namespaces of a lab that are there, whatever its files say. */
export function namespacesOf(name: string): string[] {
  const prefix = namespaceOf(name, "");
  if (!fs.existsSync(namespaceFolder)) return [];
  return fs.readdirSync(namespaceFolder).filter((namespace) => namespace.startsWith(prefix));
}
