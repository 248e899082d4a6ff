import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const module_ = pathToFileURL(join(__dirname, "../../scripts/test/summary.mjs")).href;

interface Summary {
  notes: string[];
  failed: number;
  line: string;
}

// In a Node of its own, since the scripts are ES modules and jest runs CommonJS.
function summarize(results: object[], options: object = {}): Summary {
  const code = `import(process.argv[1]).then((m) => console.log(JSON.stringify(m.summarize(...JSON.parse(process.argv[2])))))`;
  const input = JSON.stringify([results, { elapsed: 1000, ...options }]);
  return JSON.parse(execFileSync(process.execPath, ["-e", code, module_, input], { encoding: "utf8" }));
}

function readJest(report?: object): object {
  const folder = mkdtempSync(join(tmpdir(), "egw-summary-"));
  const file = join(folder, "result.json");
  if (report) writeFileSync(file, JSON.stringify(report));
  const code = `import(process.argv[1]).then((m) => console.log(JSON.stringify(m.readJest("run", process.argv[2]))))`;
  const result = JSON.parse(execFileSync(process.execPath, ["-e", code, module_, file], { encoding: "utf8" }));
  rmSync(folder, { recursive: true });
  return result;
}

const run = { name: "jest: unit", tests: 3, passed: 3, failed: 0, skips: [] as string[] };

describe("the summary of npm test", () => {
  test("sums all runs in one line", () => {
    const { line, failed } = summarize([run, { ...run, passed: 2, failed: 1, skips: ["a [skipped: no time]"] }]);
    expect([line, failed]).toEqual(["5 passed, 1 failed, 1 skipped", 1]);
  });

  test("names the reason of each skip, and fails a skip without one", () => {
    const { notes, failed } = summarize([{ ...run, skips: ["a [skipped: no ipv6]", "b [skipped: no ipv6]", "c"] }]);
    expect(notes).toEqual(expect.arrayContaining(["2 skipped: no ipv6", "Skipped without a reason: c"]));
    expect(failed).toBe(1);
  });

  test("fails when no test ran, and when the budget is exceeded", () => {
    expect(summarize([{ ...run, tests: 0, passed: 1 }])).toMatchObject({ failed: 1 });
    const late = summarize([run], { elapsed: 361_000, budget: 360_000 });
    expect(late.notes).toContain("Over budget: this took 361 s, and with nothing to set up it may take 360 s.");
    expect(late.failed).toBe(1);
  });

  test("counts a run that left no result, a suite that did not load and a jest that failed with all tests passed", () => {
    const report = {
      numPassedTests: 1,
      numFailedTests: 0,
      numRuntimeErrorTestSuites: 0,
      testResults: [],
      success: true,
    };
    expect(readJest()).toMatchObject({ failed: 1 });
    expect(readJest(report)).toMatchObject({ failed: 0, passed: 1 });
    expect(readJest({ ...report, numRuntimeErrorTestSuites: 2, success: false })).toMatchObject({ failed: 2 });
    expect(readJest({ ...report, success: false })).toMatchObject({ failed: 1 });
  });
});

test("a part of the long matrix takes its own place in what is kept, and leaves the others", async () => {
  const file = pathToFileURL(join(__dirname, "../../scripts/test/full-report.mjs")).href;
  const code =
    "import(process.argv[1]).then((m) => console.log(JSON.stringify(JSON.parse(process.argv[2]).reduce((text, one) => m.withPart(text, ['a', 'b', 'c'], ...one), 'of former versions'))))";
  const parts = JSON.stringify([
    ["c", "| of c |"],
    ["a", "first"],
    ["c", "| of c |\n\nlater"],
    ["a", "second"],
  ]);
  const text = JSON.parse(execFileSync(process.execPath, ["-e", code, file, parts], { encoding: "utf8" }));
  expect(text.slice(text.indexOf("##"))).toBe("## a\n\nsecond\n\n## c\n\n| of c |\n\nlater\n");
  expect(text).toMatch(/^# The long matrix\n\n.*\n\n## a/);
});
