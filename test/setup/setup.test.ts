import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const root = join(__dirname, "../..");
const failing = "echo 'Kernel error received' >&2; exit 1";
const lacks = (...what: string[]) => what.map((one) => `The kernel lacks ${one} (Kernel error received).`);
const SETS = ["ipset's hash:net", "ipset's hash:ip,port,ip", "ipset's hash:ip", "ipset's bitmap:port"];
const noNamespaces =
  "The kernel or the container gives no network namespaces (Operation not permitted); a container must be privileged.";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function temporary(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  folders.push(folder);
  return folder;
}

/** A folder for PATH: tools that are shell scripts, and links to the machine's own. */
function toolFolder(scripts: Readonly<Record<string, string>>, own: readonly string[] = []): string {
  const folder = temporary("egw-tools-");
  for (const [name, body] of Object.entries(scripts))
    writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  for (const name of own.filter((name) => !(name in scripts))) symlinkSync(`/usr/bin/${name}`, join(folder, name));
  return folder;
}

/** The words of NODE_OPTIONS that run this module before set-up. */
const importing = (code: string): string => `--import=data:text/javascript,${encodeURIComponent(code)}`;

/** A module after which the kernel seems to be built with all that there is, but for what matches. */
const kernelBuiltAs = (without: string): string => `
  import fs from "node:fs";
  import zlib from "node:zlib";
  import { syncBuiltinESMExports } from "node:module";
  const { features } = await import(${JSON.stringify(pathToFileURL(join(root, "scripts/setup/kernel-features.mjs")).href)});
  const options = Object.values(features).flatMap(({ options }) => options);
  const lines = options.map((name) => "CONFIG_" + name + "=m").filter((line) => line !== "${without}");
  const read = fs.readFileSync;
  fs.readFileSync = (file, ...more) => file === "/proc/config.gz" ? zlib.gzipSync(lines.join("\\n")) : read(file, ...more);
  syncBuiltinESMExports();`;

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
      NODE_OPTIONS: importing(before),
    });
    expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: "", stderr: `${sentence}\n` });
  });

  test("refuses a kernel that lacks something: all of it at once, and nothing for what builds on it", () => {
    const real = (name: string): string => `exec "$(PATH=\${PATH#*:} command -v ${name})" "$@"`;
    const without = (name: string, words: string): string =>
      `case "$*" in *${words}*) ${failing} ;; esac; ${real(name)}`;
    const tools = toolFolder({
      ip: without("ip", "vxlan"),
      ipset: failing,
      iptables: without("iptables", "TCPMSS"),
      mount: without("mount", "overlay"),
    });
    expect(setup([], { PATH: `${tools}:${process.env.PATH}` })).toEqual({
      status: 1,
      stdout: "",
      stderr: `${lacks("vxlan devices with external metadata", ...SETS, "iptables' target TCPMSS", "the file system overlay").join("\n")}\n`,
    });
  });

  // A machine where apt-get would have all packages to bring: it must not be asked.
  describe.each([
    ["by a tool that is there", { ipset: failing }, "", lacks(...SETS)],
    [
      "by its configuration",
      {},
      "CONFIG_VXLAN=m",
      ["The kernel was built without vxlan devices with external metadata (CONFIG_VXLAN)."],
    ],
    [
      "by a tool and its configuration",
      { ipset: failing },
      "CONFIG_NETFILTER_XT_MATCH_MAC=m",
      [...lacks(...SETS), "The kernel was built without iptables' match mac (CONFIG_NETFILTER_XT_MATCH_MAC)."],
    ],
    ["by its namespaces", { unshare: "echo 'Operation not permitted' >&2; exit 1" }, "", [noNamespaces]],
  ])("before anything is installed, a kernel that lacks something is refused %s", (_, own, without, sentences) => {
    const bare = { "dpkg-query": "exit 1", "apt-get": 'touch "$(dirname "$0")/asked"; exit 1', ...own };
    const folder = toolFolder(bare, ["sh", "head", "touch", "dirname", "unshare"]);
    const env = { PATH: folder, NODE_OPTIONS: importing(kernelBuiltAs(without)) };

    test("by set-up", () => {
      expect(setup(["--only", "tools"], env)).toEqual({ status: 1, stdout: "", stderr: `${sentences.join("\n")}\n` });
      expect(existsSync(join(folder, "asked"))).toBe(false);
    });

    test("by --check, each once, beside the packages", () => {
      const lines = setup(["--check", "--only", "tools"], env).stdout.split("\n");
      expect(lines.filter((line) => line.includes("kernel"))).toEqual(sentences.map((one) => `  ${one}`));
      expect(lines).toContain("  Debian package iptables");
    });
  });

  test("where nothing can be told of the kernel yet, the packages come first", () => {
    const bare = { "dpkg-query": "exit 1", "apt-get": "echo no network; exit 1" };
    const env = { PATH: toolFolder(bare, ["sh", "head", "unshare"]), NODE_OPTIONS: importing(kernelBuiltAs("")) };
    const { status, stderr } = setup(["--only", "tools"], { ...env, XDG_CACHE_HOME: temporary("egw-cache-") });
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining("apt-get update") });
  });

  test("--help says what it does, and an unknown option is named", () => {
    expect(setup(["--help"]).stdout).toContain("Usage: npm run setup");
    expect(setup(["--what"])).toMatchObject({ status: 1, stderr: expect.stringContaining("--what") });
    expect(setup(["--only", "what"])).toMatchObject({ status: 1, stderr: expect.stringContaining('"what"') });
  });
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s while packages are installed lets services start again",
  async (signal) => {
    const policy = join(temporary("egw-policy-"), "policy-rc.d");
    const [services, command] = ["without-services", "command"].map(
      (name) => pathToFileURL(join(root, `scripts/setup/${name}.mjs`)).href,
    );
    const code = `
    const { withoutServices } = await import(${JSON.stringify(services)});
    const { runLong } = await import(${JSON.stringify(command)});
    const body = () => runLong("sh", ["-c", "echo begun; exec sleep 60"], { onLine: console.log });
    await withoutServices(body, ${JSON.stringify(policy)});`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    expect(readFileSync(policy, "utf8")).toBe("#!/bin/sh\nexit 101\n");
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([130, null]);
    expect(existsSync(policy)).toBe(false);
  },
);

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
