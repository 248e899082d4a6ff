import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(__dirname, "../..");

/** Runs an npm script as somebody who is not root, where no tool is on PATH. */
function runBare(...args: string[]) {
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent("process.getuid = () => 1000")}`;
  const env = { ...process.env, PATH: "/nowhere", NODE_OPTIONS };
  const options = { cwd: root, encoding: "utf8", env } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/run.mjs", ...args], options);
  return { status, stdout, stderr };
}

test.each([
  ["lab", "usage: lab"],
  ["demo", "Usage: npm run demo"],
  ["bench", "Usage: npm run bench"],
  ["test", "Usage: npm test"],
  ["test:unit", "Usage: npm test"],
  ["test:full", "Usage: npm test"],
])("%s --help needs neither root nor set-up", (name, first) => {
  const helped = { status: 0, stdout: expect.stringMatching(`^${first}`), stderr: "" };
  expect(runBare(name, "--help")).toEqual(helped);
  expect(runBare(name, "-h")).toEqual(helped);
});

test.each([[[]], [["exec", "client-1", "--", "ip", "--help"]]])("lab %j is no question for help", (words) => {
  const { status, stdout, stderr } = runBare("lab", ...words);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^This needs root/);
});
