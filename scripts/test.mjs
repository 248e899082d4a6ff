import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./setup/build.mjs";
import { root } from "./setup/places.mjs";
import { clock } from "./setup/progress.mjs";
import { keepFullReport } from "./test/full-report.mjs";
import { readJest, summarize } from "./test/summary.mjs";

/** The long matrix: types, lint and the unit tests; real tests; programs with a line of them broken at a time; scenarios with programs. */
const fullParts = ["checks", "real", "mutants", "programs"];

const help = `Usage: npm test [-- OPTION OF JEST]...

  npm test            types, lint and format, the unit tests, and real tests on labs of network
                      namespaces, some with the real Pulumi CLI; ten to thirteen minutes, needs root
  npm run test:unit   the unit tests alone, up to two minutes, without root
  npm run test:full   all that npm test leaves out too, and every scenario once more with
                      gateways whose datapath is bpf, and the programs on older kernels in
                      emulated machines; some three hours on two cores. With --part NAME one part
                      of it: ${fullParts.join(", ")}. Each that ran whole is noted in
                      test/FULL.md

Each brings what it needs first, says why something is skipped, and ends with
"N passed, N failed, N skipped". Exit codes: 0 nothing failed, 1 something did.

Options are for jest, such as
  --testPathPatterns 'scenarios/13|unit/program'   only files with such a path
  --testNamePattern TEXT                           only tests with such a name

Variables of the environment
  EGW_FULL=1             where jest is started by hand: with what npm test leaves out
  EGW_LAB_PREFIX=x       likewise: what the names of its labs begin with
  EGW_DATAPATH=bpf       likewise: gateways of scenarios have that datapath
  EGW_ENGINE=mini        likewise: no scenario by the real CLI
  EGW_UPDATE_GOLDEN=1    writes the golden files anew; look at the difference
`;

const minutes = 60_000;
const jestProjects = { unit: ["--maxWorkers=2"], real: ["--maxWorkers=2"] };
const kinds = {
  unit: { projects: ["unit"], checks: false, budget: 2 * minutes },
  quick: { projects: ["unit", "real"], checks: true, budget: 13 * minutes },
  full: { budget: 200 * minutes },
};

const [kindName, ...options] = process.argv.slice(2);
const asked = kindName === "full" && options[0] === "--part" ? [options[1]] : undefined;
const jestArgs = asked ? options.slice(2) : options;
if (["--help", "-h"].some((option) => jestArgs.includes(option))) {
  process.stdout.write(help);
  process.exit(0);
}
if (asked && !fullParts.includes(asked[0])) {
  console.error(`there is no part "${asked[0]}" of the long matrix. It is one of ${fullParts.join(", ")}.`);
  process.exit(1);
}
const kind = kinds[kindName];
const began = Number(process.env.EGW_BEGAN || Date.now());
const results = [];
// Labs of this run alone, so that two runs don't meet; they are taken down at its end.
const labs = `t${process.pid.toString(36).padStart(5, "0")}`;

function run(command, args, env = {}) {
  const options = {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    timeout: 3 * kind.budget,
    killSignal: "SIGTERM",
  };
  return spawnSync(command, args, { ...options, env: { ...process.env, ...env } }).status === 0;
}

async function check(name, body) {
  console.error(`\n── ${name}`);
  const passed = await body();
  results.push({ name, passed: passed ? 1 : 0, failed: passed ? 0 : 1, skips: [] });
}

async function compile() {
  try {
    if (build.missing().length > 0) await build.bring(console.error);
    return true;
  } catch (error) {
    console.error(error.message);
    return false;
  }
}

function lint() {
  const passed = run(join(root, "node_modules/.bin/biome"), ["check", "--reporter=summary"]);
  if (!passed) console.error("npm run check says where, npm run format mends most of it.");
  return passed;
}

function jest(project, name = `jest: ${project}`, more = [], variables = {}) {
  console.error(`\n── ${name}`);
  const folder = mkdtempSync(join(tmpdir(), "egw-jest-"));
  const output = join(folder, "result.json");
  const flags = ["--selectProjects", project, ...jestProjects[project], "--ci", "--passWithNoTests"];
  const jestFile = join(root, "node_modules/jest/bin/jest.js");
  const env = { EGW_FULL: kindName === "full" ? "1" : "", EGW_LAB_PREFIX: labs, ...variables };
  run(process.execPath, [jestFile, ...flags, "--json", "--outputFile", output, ...more, ...jestArgs], env);
  results.push(readJest(name, output));
  rmSync(folder, { recursive: true });
}

function takeLabsDown() {
  const there = existsSync("/run/egw-lab") ? readdirSync("/run/egw-lab") : [];
  for (const name of there.filter((lab) => lab.startsWith(labs)))
    run(process.execPath, [join(root, "dist/test/lab/cli.js"), "down", "--name", name]);
}

async function checks() {
  await check("types and build", compile);
  await check("lint and format", lint);
}

const MUTANTS = "test/bpf/mutants";
const bodies = {
  checks: async () => {
    await checks();
    jest("unit");
  },
  real: () => jest("real", "jest: real", jestArgs.length === 0 ? ["--testPathIgnorePatterns", MUTANTS] : []),
  mutants: () => jest("real", "jest: broken programs", ["--testPathPatterns", MUTANTS]),
  programs: () =>
    jest("real", "jest: scenarios with programs", ["--testPathPatterns", "test/scenarios/"], {
      EGW_DATAPATH: "bpf",
      EGW_ENGINE: "mini",
    }),
};

/** Options for jest may name any file: then that is all real tests at once, and no whole part. */
async function full() {
  // A part by itself may be the first thing that a clone runs.
  if (asked && asked[0] !== "checks") await check("types and build", compile);
  for (const part of asked ?? (jestArgs.length === 0 ? fullParts : ["checks", "real"])) {
    const [first, start] = [results.length, Date.now()];
    await bodies[part]();
    const own = results.slice(first);
    const { line } = summarize(own, { elapsed: 0 });
    if (jestArgs.length === 0) keepFullReport(part, fullParts, own, line, clock(start));
  }
}

if (kindName === "full") await full();
else {
  if (kind.checks) await checks();
  for (const project of kind.projects) jest(project);
}
takeLabsDown();

const warm = !process.env.EGW_SET_UP;
const budget = warm && !asked && jestArgs.length === 0 ? kind.budget : undefined;
const summary = summarize(results, { elapsed: Date.now() - began, budget, filtered: jestArgs.length > 0 });
console.log(`\n${summary.notes.join("\n")}\nTime: ${clock(began)}\n${summary.line}`);
process.exitCode = summary.failed > 0 ? 1 : 0;
