import { chmodSync, copyFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { probe, runLong } from "./command.mjs";

// The go.mod files in scripts/setup/go ask for this one. As a Go module, so that what serves modules serves it too.
const version = "1.26.8";
const module_ = `golang.org/toolchain@v0.0.1-go${version}.linux-${process.arch === "x64" ? "amd64" : process.arch}`;
const sums = {
  x64: "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=",
  arm64: "h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=",
};
const needed = Number(version.split(".")[1]);

/** A Go that is new enough, {command, env}: the one on PATH, or one that it fetches through GOPROXY. */
export async function goToBuildWith(progress) {
  const { ok, out } = probe("go", ["version"], { env: { GOTOOLCHAIN: "local" } });
  if (!ok) throw new Error("The Pulumi CLI can't be downloaded here, and to build it there is no Go on PATH.");
  const [found = "unknown", minor = "0"] = /go1\.(\d+)[\w.]*/.exec(out) ?? [];
  if (Number(minor) >= needed) return { command: "go", env: {} };
  progress(`Go ${version} as a Go module, since this machine's is ${found}`);
  try {
    return await fetchToolchain();
  } catch (error) {
    const said = /"Error": (".*")/.exec(error.message)?.[1];
    const why = `The Pulumi CLI can't be downloaded here, and to build it takes Go 1.${needed} or newer, not ${found}`;
    const either = `one could not be had through GOPROXY either: ${said ? JSON.parse(said) : error.message}`;
    throw new Error(`${why}; ${either}`, { cause: error });
  }
}

// The pinned sum stands in for the checksum database, which a Go before 1.21 then need not reach.
async function fetchToolchain() {
  const env = {
    ...process.env,
    GO111MODULE: "on",
    GOTOOLCHAIN: "local",
    GOWORK: "off",
    GONOSUMDB: "golang.org/toolchain",
  };
  const lines = await runLong("go", ["mod", "download", "-json", module_], { cwd: "/", env });
  const { Dir: folder, Sum: sum } = JSON.parse(lines.slice(lines.indexOf("{"), lines.indexOf("}") + 1).join("\n"));
  if (sum !== sums[process.arch])
    throw new Error(`${module_} has the checksum ${sum} and should have ${sums[process.arch]}`);
  makeUsable(folder);
  const command = join(folder, "bin/go");
  const fresh = { GOROOT: "", GOTOOLCHAIN: "local" };
  const { out, err } = probe(command, ["version"], { env: fresh });
  if (!out.includes(`go${version} `)) throw new Error(`${command} doesn't run: ${out}${err}`);
  return { command, env: fresh };
}

/** A module's files are not executable, and its go.mod has another name: made good as Go itself does it. */
function makeUsable(folder) {
  for (const file of ["bin", "pkg/tool"].flatMap((part) => filesIn(join(folder, part)))) chmodSync(file, 0o755);
  if (existsSync(join(folder, "src/go.mod"))) return;
  chmodSync(join(folder, "src"), 0o755);
  copyFileSync(join(folder, "src/_go.mod"), join(folder, "src/go.mod"));
}

function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}
