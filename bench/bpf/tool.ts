import { mkdtempSync, rmSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { runOk } from "../../test/lab/run";
import { atEnd } from "../cleanup";
import { sourceFile } from "../source-file";

/** Compiles a C program of bench/bpf for this machine: the path of what clang made, which goes when the benchmark ends. */
export async function compiledTool(name: "traffic" | "test-run"): Promise<string> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "egw-bench-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, name);
  await runOk(["clang", "-O2", "-Wall", "-Wextra", "-Werror", "-o", file, sourceFile(`bpf/${name}.c`)]);
  return file;
}
