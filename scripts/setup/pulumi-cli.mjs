import { copyFileSync, existsSync, realpathSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { probe, runLong } from "./command.mjs";
import { buildWithGo } from "./go-build.mjs";
import { pulumiBin, root } from "./places.mjs";

const version = "3.259.0";
const bin = pulumiBin(version);
const languageHost = "pulumi-language-nodejs";
const dynamicProvider = "pulumi-resource-pulumi-nodejs";

/** The Pulumi CLI that everything runs: one on PATH that fits, else the one that set-up brought; undefined if none. */
export function pulumiPath() {
  return fittingOnPath() ?? (isWhole() ? join(bin, "pulumi") : undefined);
}

// 3.227 is the first whose exit codes tell drift from failure.
function fittingOnPath() {
  for (const directory of (process.env.PATH ?? "").split(delimiter).filter(Boolean)) {
    const file = join(directory, "pulumi");
    // npm puts its wrapper first on PATH; it would download, which is not what a look should do.
    if (!existsSync(file) || directory === bin || realpathSync(file).includes("/node_modules/")) continue;
    const [major, minor] = probe(file, ["version"]).out.replace(/^v/, "").split(".").map(Number);
    const real = join(dirname(realpathSync(file)), "pulumi");
    if (major === 3 && minor >= 227 && [languageHost, dynamicProvider].every((name) => isBeside(real, name)))
      return real;
  }
  return undefined;
}

const isBeside = (file, name) => existsSync(join(dirname(file), name));
const isWhole = () => ["pulumi", languageHost, dynamicProvider].every((name) => existsSync(join(bin, name)));

/** The Pulumi CLI with its Node.js language host, downloaded by npm's wrapper or built from Go modules. */
export const pulumiCli = {
  name: "Pulumi CLI",
  missing: () => (pulumiPath() ? [] : [`Pulumi CLI ${version} with its Node.js language host`]),
  async bring(progress) {
    if (!["pulumi", languageHost].every((name) => existsSync(join(bin, name))) && !(await download(progress))) {
      await buildWithGo(bin, { pulumi: version, [languageHost]: "3.66.0" }, progress);
    }
    if (!existsSync(join(bin, dynamicProvider))) {
      copyFileSync(join(root, "node_modules/@pulumi/pulumi", dynamicProvider), join(bin, dynamicProvider));
    }
    const { out, err } = probe(join(bin, "pulumi"), ["version"]);
    if (out.replace(/^v/, "").trim() !== version) throw new Error(`${bin}/pulumi doesn't run: ${out}${err}`);
  },
};

// The wrapper's first line only says that it begins. What follows comes from the network, and then it may take its time.
async function download(progress) {
  const limit = (lines) => (lines.length > 1 ? 300_000 : 20_000);
  const env = { ...process.env, PULUMI_VERSION: version, PULUMI_SKIP_UPDATE_CHECK: "1" };
  try {
    progress("download by npm's wrapper");
    await runLong(process.execPath, [join(root, "node_modules/pulumi/run.js"), "version"], {
      onLine: progress,
      limit,
      env,
    });
    return existsSync(join(bin, languageHost));
  } catch {
    if (!probe(join(bin, "pulumi"), ["version"]).ok) rmSync(bin, { recursive: true, force: true });
    return false;
  }
}
