import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { probe } from "./command.mjs";
import { npm } from "./npm-packages.mjs";
import { cache } from "./places.mjs";

const version = "22.23.3";
const integrity = {
  x64: "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
  arm64: "sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==",
};
const name = `node-linux-${process.arch}`;
const folder = join(cache, `node-${version}`);
const cached = join(folder, "node_modules", name, "bin/node");

/** The Node that everything after set-up runs with: the machine's own if it is new enough. */
export function nodePath() {
  return Number.parseInt(process.versions.node, 10) >= 22 ? process.execPath : cached;
}

/** Node 22 or newer, from npm where the machine's own is older. */
export const node22 = {
  name: "Node 22",
  missing: () => (existsSync(nodePath()) ? [] : [`Node 22 (this machine's is ${process.version})`]),
  async bring(progress) {
    progress(`${name}@${version}`);
    rmSync(folder, { recursive: true, force: true });
    const fresh = `${folder}.${process.pid}`;
    mkdirSync(fresh, { recursive: true });
    const lock = {
      lockfileVersion: 3,
      packages: {
        "": { dependencies: { [name]: version } },
        [`node_modules/${name}`]: { version, integrity: integrity[process.arch] },
      },
    };
    writeFileSync(join(fresh, "package.json"), JSON.stringify({ dependencies: { [name]: version } }));
    writeFileSync(join(fresh, "package-lock.json"), JSON.stringify(lock));
    await npm(["ci", "--ignore-scripts"], { cwd: fresh, onLine: progress });
    const { ok, out, err } = probe(join(fresh, "node_modules", name, "bin/node"), ["--version"]);
    if (!ok || out.trim() !== `v${version}`)
      throw new Error(`The downloaded Node ${version} doesn't run: ${out}${err}`);
    renameSync(fresh, folder);
  },
};
