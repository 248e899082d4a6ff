import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { runLong } from "./command.mjs";
import { nodePath } from "./node22.mjs";
import { root } from "./places.mjs";

const sources = ["provider", "components", "bpf", "test", "bench", "demo"];
const stampFile = join(root, "dist/.stamp");
// So that Pulumi.yaml's program finds the package by its name, as in a project where it is installed. A link to the whole
// clone would hold itself.
const self = join(root, "node_modules/pulumi-egress");

function filesIn(folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

function sourceStamp() {
  const hash = createHash("sha256");
  for (const path of ["tsconfig.json", "package-lock.json", ...sources.flatMap(filesIn).sort()]) {
    const { mtimeMs, size } = statSync(join(root, path));
    hash.update(`${path} ${mtimeMs} ${size}\n`);
  }
  return hash.digest("hex");
}

// What stays behind in dist/ when a source is removed or renamed would still be packed and still be found by require.
const isProgram = (name) => name.endsWith(".bpf.c");

/** What nodes load: objects without debugging information but for the BTF, the same bytes wherever they are built. */
async function compilePrograms() {
  const include = `-I/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
  mkdirSync(join(root, "dist/bpf"), { recursive: true });
  for (const source of readdirSync(join(root, "bpf")).filter(isProgram)) {
    const object = join("dist/bpf", source.replace(/c$/, "o"));
    const same = ["-fdebug-compilation-dir=.", "-O2", "-g", "-target", "bpf", "-mcpu=v3"];
    await runLong("clang", [...same, "-Wall", "-Wextra", "-Werror", include, "-c", join("bpf", source), "-o", object], {
      cwd: root,
    });
    await runLong("llvm-strip", ["-g", object], { cwd: root });
  }
}

function removeOrphans() {
  for (const path of filesIn("dist").filter((path) => /\.(d\.ts|js)$/.test(path))) {
    const source = path.replace(/^dist\//, "").replace(/\.(d\.ts|js)$/, ".ts");
    if (!existsSync(join(root, source))) rmSync(join(root, path));
  }
}

function linkSelf() {
  if (lstatSync(self, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(self);
  mkdirSync(self, { recursive: true });
  for (const name of ["package.json", "dist"])
    if (!existsSync(join(self, name))) symlinkSync(join("../..", name), join(self, name));
}

/** The TypeScript sources and the programs compiled into dist/. */
export const build = {
  name: "Build",
  missing() {
    const built = existsSync(stampFile) && readFileSync(stampFile, "utf8") === sourceStamp();
    return built && existsSync(join(self, "dist")) && !lstatSync(self).isSymbolicLink()
      ? []
      : ["dist/ compiled from the sources as they are now"];
  },
  async bring(progress) {
    progress("tsc");
    const stamp = sourceStamp();
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const incremental = ["--incremental", "--tsBuildInfoFile", "dist/.tsbuildinfo"];
    try {
      await runLong(nodePath(), [tsc, "-p", "tsconfig.json", ...incremental], { cwd: root });
    } catch (error) {
      const problems = error.lines?.join("\n") ?? error.message;
      if (process.env.EGW_ALLOW_TYPE_ERRORS !== "1")
        throw new Error(`tsc found errors:\n${problems}`, { cause: error });
      console.error(`${problems}\nGoing on, as EGW_ALLOW_TYPE_ERRORS=1 says.`);
    }
    progress("clang");
    await compilePrograms();
    removeOrphans();
    linkSelf();
    writeFileSync(stampFile, stamp);
  },
};
