import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const root = join(__dirname, "../..");
const run = promisify(execFile);

// The provider keeps its one thing in a file, so that the test sees create and delete happen outside of the engine.
const program = `
const pulumi = require("@pulumi/pulumi");
const provider = {
  async create(inputs) {
    require("node:fs").writeFileSync(inputs.file, process.version);
    return { id: "thing", outs: { ...inputs, node: process.version } };
  },
  async delete(id, outs) { require("node:fs").rmSync(outs.file); },
};
class Thing extends pulumi.dynamic.Resource {
  constructor(name, props) { super(provider, name, { ...props, node: undefined }); }
}
exports.node = new Thing("thing", { file: process.env.THING_FILE }).node;
`;

describe("the Pulumi CLI that set-up brought", () => {
  const folder = mkdtempSync(join(tmpdir(), "egw-engine-"));
  const file = join(folder, "thing");

  async function pulumi(...args: string[]): Promise<string> {
    const env = {
      ...process.env,
      PULUMI_BACKEND_URL: `file://${folder}/state`,
      PULUMI_CONFIG_PASSPHRASE: "x",
      THING_FILE: file,
    };
    const command = process.env.EGW_PULUMI ?? "pulumi";
    const { stdout } = await run(command, [...args, "--non-interactive"], { cwd: folder, env });
    return stdout;
  }

  beforeAll(async () => {
    mkdirSync(join(folder, "state"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), '{ "name": "engine-check", "main": "index.js" }');
    writeFileSync(join(folder, "index.js"), program);
    const project = "name: engine-check\nruntime: { name: nodejs, options: { typescript: false } }\n";
    writeFileSync(join(folder, "Pulumi.yaml"), project);
    await pulumi("stack", "init", "check");
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test("creates and deletes a dynamic resource, both with Node 22 or newer", async () => {
    await pulumi("up", "--yes", "--skip-preview", "--stack", "check");
    expect(Number.parseInt(readFileSync(file, "utf8").slice(1), 10)).toBeGreaterThanOrEqual(22);
    expect(JSON.parse(await pulumi("stack", "output", "--json", "--stack", "check"))).toEqual({
      node: readFileSync(file, "utf8"),
    });
    await pulumi("destroy", "--yes", "--skip-preview", "--stack", "check");
    expect(existsSync(file)).toBe(false);
  });

  test("exits 7 when a preview expects no changes and there are some", async () => {
    const preview = pulumi("preview", "--expect-no-changes", "--stack", "check");
    await expect(preview).rejects.toMatchObject({ code: 7 });
  });
});
