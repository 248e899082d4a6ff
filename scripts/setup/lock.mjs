import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cache } from "./places.mjs";

const file = join(cache, "setup.lock");

/** Runs `body` while no other set-up of this user does: two at once would write the same node_modules. */
export async function withLock(body, onWait) {
  mkdirSync(cache, { recursive: true });
  for (let told = false; !take(); told = true) {
    if (!told) onWait();
    await sleep(200);
  }
  const release = () => rmSync(file, { force: true });
  process.once("exit", release);
  try {
    return await body();
  } finally {
    process.off("exit", release);
    release();
  }
}

function take() {
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  if (!holderLives()) rmSync(file, { force: true });
  return false;
}

function holderLives() {
  try {
    process.kill(Number(readFileSync(file, "utf8")), 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
