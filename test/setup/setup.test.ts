import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(__dirname, "../..");

function setup(args: string[], env: NodeJS.ProcessEnv = {}) {
  const options = { cwd: root, encoding: "utf8", env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/setup.mjs", ...args], options);
  return { status, stdout, stderr };
}

describe("npm run setup", () => {
  test("finds in under 5 seconds that there is nothing to do", () => {
    const began = Date.now();
    expect(setup(["--only", "tools"])).toEqual({ status: 0, stdout: "", stderr: "Set-up: everything is there.\n" });
    expect(Date.now() - began).toBeLessThan(5000);
  });

  test("--check lists what is missing, exits 1 and brings nothing", () => {
    const home = mkdtempSync(join(tmpdir(), "egw-home-"));
    const check = () =>
      setup(["--check", "--only", "tools"], { PULUMI_HOME: home, PATH: "/usr/bin:/bin:/usr/sbin:/sbin" });
    const missing = "Missing:\n  Pulumi CLI 3.259.0 with its Node.js language host\n";
    expect([check(), check()]).toEqual(Array(2).fill({ status: 1, stdout: missing, stderr: "" }));
    rmSync(home, { recursive: true });
  });

  test.each([
    [
      "who is not root",
      "process.getuid = () => 1000",
      "This needs root, to make network namespaces and program the kernel; try again with sudo.",
    ],
    [
      "what is not Linux",
      "Object.defineProperty(process, 'platform', { value: 'darwin' })",
      "This needs Linux (network namespaces, ipset, iptables), and this machine runs darwin.",
    ],
    [
      "a machine without apt",
      "process.env.PATH = '/nowhere'",
      "This needs apt-get, as on Debian 12 or Ubuntu, and this machine has none.",
    ],
  ])("refuses %s in one sentence", (_, before, sentence) => {
    const { status, stdout, stderr } = setup([], {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(before)}`,
    });
    expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: "", stderr: `${sentence}\n` });
  });

  test("refuses a kernel that lacks something, and names what", () => {
    const tools = mkdtempSync(join(tmpdir(), "egw-tools-"));
    writeFileSync(join(tools, "ipset"), "#!/bin/sh\necho 'Kernel error received' >&2; exit 1\n", { mode: 0o755 });
    const { status, stderr } = setup([], { PATH: `${tools}:${process.env.PATH}` });
    expect(status).toBe(1);
    expect(stderr.split("\n")[0]).toBe("The kernel lacks ipset's hash:net (Kernel error received).");
    rmSync(tools, { recursive: true });
  });

  test("--help says what it does, and an unknown option is named", () => {
    expect(setup(["--help"]).stdout).toContain("Usage: npm run setup");
    expect(setup(["--what"])).toMatchObject({ status: 1, stderr: expect.stringContaining("--what") });
    expect(setup(["--only", "what"])).toMatchObject({ status: 1, stderr: expect.stringContaining('"what"') });
  });
});

describe("package-lock.json", () => {
  const text = readFileSync(join(root, "package-lock.json"), "utf8");

  test("names no registry, so that any can serve it", () => {
    expect(text).not.toMatch(/"resolved"|https?:\/\/registry|\.tgz/);
  });

  test("has the optional packages of all platforms (scripts/complete-lock.mjs adds them), else npm ci refuses it", () => {
    const packages: Record<string, { optionalDependencies?: Record<string, string> }> = JSON.parse(text).packages;
    const optional = Object.values(packages).flatMap((owner) => Object.keys(owner.optionalDependencies ?? {}));
    const has = (name: string) => Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`));
    expect(optional.filter((name) => !has(name))).toEqual([]);
  });
});
