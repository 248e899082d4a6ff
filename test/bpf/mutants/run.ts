import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { testFull } from "../../setup/skip";
import { compiled } from "../kernel";
import { CLASSIFIER } from "../maps";
import { MUTANTS } from "./table";

const ROOT = path.join(__dirname, "../../..");

/** Whose tests probably catch a broken file. */
const NEAREST: Readonly<Record<string, string>> = {
  "client.bpf.c": "client",
  "packet.h": "client",
  "maps.h": "client",
  "tunnel.h": "uplink",
  "pieces.h": "pieces",
  "ways.h": "ways",
  "split.h": "split",
};
/** Files that one half of these tests breaks, so that two can run at once. */
export const isOfClient = (file: string): boolean => file in NEAREST;

/** Tests of a file by BPF_PROG_TEST_RUN, the likely ones first, and then those by real traffic. */
const testsOf = (file: string): readonly string[] => {
  if (file.startsWith("connections")) return ["connections", "gateway-pod"];
  const nearest = NEAREST[file] ?? "gateway";
  const others = ["client", "uplink", "pieces", "split", "ways", "gateway"].filter((name) => name !== nearest);
  return [nearest, ...others, "traffic"];
};

/** Runs tests with the programs of a folder; undefined where nothing fails. */
function run(tests: string, folder: string): { readonly status: number | null; readonly stderr: string } | undefined {
  const jest = path.join(ROOT, "node_modules/.bin/jest");
  const patterns = [
    "--testPathPatterns",
    `test/bpf/(${tests})\\.test`,
    "--testNamePattern",
    "^(?!.*(twenty|a hundred) times)",
  ];
  const environment = ["--env", path.join(__dirname, "../first-failure.ts")];
  const ended = spawnSync(jest, ["--selectProjects", "real", ...environment, ...patterns], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, EGW_BPF_SOURCES: path.join(folder, "bpf"), EGW_FULL: "" },
  });
  return ended.status === 0 ? undefined : ended;
}

function caughtBy(tests: readonly string[], folder: string): ReturnType<typeof run> {
  for (const one of tests) {
    const caught = run(one, folder);
    if (caught) return caught;
  }
  return undefined;
}

/** Compiles the programs of a folder and loads them: those that no compiler takes, or no verifier, are no mutants. */
function load(folder: string): void {
  const pins = path.join(folder, "pins");
  fs.mkdirSync(pins);
  execFileSync("mount", ["-t", "bpf", "bpf", pins]);
  try {
    for (const name of ["client", "gateway", "connections"]) {
      const object = path.join(folder, `${name}.o`);
      fs.writeFileSync(object, compiled(path.join(folder, "bpf", `${name}.bpf.c`), folder, false));
      execFileSync("bpftool", ["prog", "loadall", object, path.join(pins, name), ...CLASSIFIER], { stdio: "pipe" });
    }
  } finally {
    execFileSync("umount", [pins]);
  }
}

/** Breaks one line of these files at a time; some test has to fail then. `whole`: whose tests have to pass while nothing is broken. */
export function breakLines(isOfThese: (file: string) => boolean, whole: readonly string[]): void {
  let folder = "";
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-mutant-"));
    for (const part of ["bpf", "test/bpf"])
      fs.cpSync(path.join(ROOT, part), path.join(folder, part), {
        recursive: true,
        filter: (name) => !name.endsWith(".ts"),
      });
  });
  afterEach(() => fs.rmSync(folder, { recursive: true }));

  for (const file of whole)
    testFull(
      `programs that are whole fail none of the tests of ${file}`,
      () => expect(caughtBy(testsOf(file), folder)?.stderr ?? "").toBe(""),
      600_000,
    );

  for (const [purpose, file, before, after] of MUTANTS.filter(([, file]) => isOfThese(file)))
    testFull(
      `programs that are broken fail a test: ${purpose}`,
      () => {
        const source = path.join(folder, "bpf", file);
        const text = fs.readFileSync(source, "utf8");
        expect(text.split(before)).toHaveLength(2);
        fs.writeFileSync(source, text.replace(before, after));
        load(folder);
        const { status, stderr } = caughtBy(testsOf(file), folder) ?? {};
        const caught = /● .*/.exec(stderr ?? "")?.[0] ?? "nothing";
        console.info(`${purpose}: caught by ${caught}`);
        expect({ purpose, status, caught }).toMatchObject({ status: 1, caught: expect.stringContaining("●") });
      },
      120_000,
    );
}
