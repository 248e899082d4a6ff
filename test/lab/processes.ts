import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** The processes that run in these network namespaces (paths of namespace files). */
export function processesIn(namespaceFiles: readonly string[]): number[] {
  const wanted = new Set(namespaceFiles.flatMap(namespaceInode));
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => wanted.has(namespaceInode(`/proc/${pid}/ns/net`)[0] ?? -1))
    .map(Number);
}

function namespaceInode(file: string): number[] {
  try {
    return [fs.statSync(file).ino];
  } catch {
    return []; // the process or namespace has gone
  }
}

/** Ends every process in these namespaces, those that they start meanwhile included. */
export async function endProcessesIn(namespaceFiles: readonly string[]): Promise<void> {
  const end = Date.now() + 5000;
  while (Date.now() < end) {
    const pids = processesIn(namespaceFiles).filter((pid) => pid !== process.pid);
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // it has ended by itself
      }
    }
    await sleep(10);
  }
  throw new Error(`these processes don't end: ${processesIn(namespaceFiles).join(", ")}`);
}
