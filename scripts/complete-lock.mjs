import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./setup/places.mjs";

// Run after a change of dependencies. A registry need not carry the binaries of other platforms; npm then leaves them
// out of the lock, and `npm ci` refuses that lock everywhere. They are never installed on Linux, so their version and
// platform are enough.
const platform =
  /-(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|ia32|loong64|ppc64|riscv64|s390x|x64)(-\w+)?$/;

/** Adds to a parsed package-lock.json what optional packages it lacks. Returns their names. */
function completeLock(lock) {
  const added = [];
  for (const owner of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
      const found = platform.exec(name);
      if (!found || lock.packages[`node_modules/${name}`]) continue;
      const [, os, cpu, abi] = found;
      const libc = os === "linux" && abi && { libc: [abi.startsWith("-musl") ? "musl" : "glibc"] };
      const kind = { ...(owner.dev && { dev: true }), optional: true };
      lock.packages[`node_modules/${name}`] = { version, cpu: [cpu], ...kind, os: [os], ...libc };
      added.push(name);
    }
  }
  const [self, ...others] = Object.entries(lock.packages);
  lock.packages = Object.fromEntries([self, ...others.sort(([a], [b]) => (a < b ? -1 : 1))]);
  return added;
}

const file = join(root, "package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8"));
const added = completeLock(lock);
if (added.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length > 0 ? `Added to package-lock.json: ${added.join(", ")}` : "package-lock.json is complete.");
