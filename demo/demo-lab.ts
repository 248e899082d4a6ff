import * as fs from "node:fs";
import * as path from "node:path";
import { type Lab, labDown, labStatus, labUp } from "../test/lab";

const name = "demo";
let isOurs = false;

/** A fresh lab for this demo; what an earlier one left (--keep, or a kill) is taken down first, a demo that runs is not. */
export async function freshLab(): Promise<Lab> {
  const other = runningDemo();
  if (other !== undefined) throw new Error(`another demo is running (process ${other}); wait for it, or stop it`);
  isOurs = true;
  await labDown(name);
  const lab = await labUp({ name });
  fs.writeFileSync(path.join(lab.directory, "demo.pid"), String(process.pid));
  return lab;
}

/** Removes it, whole or half-built; the lab of another demo is left alone. */
export async function removeLab(): Promise<void> {
  if (isOurs) await labDown(name);
}

function runningDemo(): number | undefined {
  try {
    const pid = Number(fs.readFileSync(path.join(labStatus(name).directory, "demo.pid"), "utf8"));
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("demo") ? pid : undefined;
  } catch {
    return undefined; // there is no lab, or the demo that built it has ended
  }
}
