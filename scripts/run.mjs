import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { nodePath } from "./setup/node22.mjs";
import { root } from "./setup/places.mjs";
import { bringMissing, SetupError, steps } from "./setup/steps.mjs";
import { toolEnv } from "./setup/tool-env.mjs";

// Each npm script: what it needs set up, and the file that then runs with the right Node.
const entries = {
  lab: { needs: steps.all, file: "dist/test/lab/cli.js" },
  demo: { needs: steps.all, file: "dist/demo/demo.js" },
  bench: { needs: steps.all, file: "dist/bench/bench.js" },
  test: { needs: steps.tools, file: "scripts/test.mjs", first: ["quick"] },
  "test:full": { needs: steps.full, file: "scripts/test.mjs", first: ["full"] },
  "test:unit": { needs: steps.unit, file: "scripts/test.mjs", first: ["unit"] },
};

/** Whether only the help is asked for; what follows `--` is for a host of the lab. */
function wantsHelp(args) {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  return own[0] === "help" || own.includes("--help") || own.includes("-h");
}

/** A help needs no root and no tools, only its file. */
const needsOf = (entry, args) => {
  if (!wantsHelp(args)) return entry.needs;
  return existsSync(join(root, entry.file)) ? [] : steps.build;
};

/** Sets up what the entry needs, then becomes it: its output, its signals, its exit code. */
async function main([name, ...args]) {
  const began = Date.now();
  const entry = entries[name];
  if (!entry) throw new SetupError(`unknown entry "${name}". It is one of ${Object.keys(entries).join(", ")}.`);
  const worked = await bringMissing(needsOf(entry, args));
  const file = join(root, entry.file);
  if (!existsSync(file)) throw new SetupError(`${entry.file} is not there: this clone has no ${name} yet.`);
  const env = { ...process.env, ...toolEnv(), EGW_BEGAN: String(began), EGW_SET_UP: worked ? "1" : "" };
  const node = existsSync(nodePath()) ? nodePath() : process.execPath;
  const child = spawn(node, [file, ...(entry.first ?? []), ...args], { stdio: "inherit", env });
  // A terminal's Ctrl-C reaches the child by itself; both signals are the child's to answer.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof SetupError ? error.message : error);
  if (process.argv[2]?.startsWith("test")) console.log("0 passed, 1 failed, 0 skipped");
  process.exitCode = 1;
});
