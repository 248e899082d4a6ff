import * as fs from "node:fs";
import * as path from "node:path";
import { type Lab, labDown, labDrift, podCall } from "../lab";
import { run } from "../lab/run";
import { engineLab, setKey } from "./engine-project";
import { installTarball, packPackage, root } from "./install";
import { plannedIn } from "./preview";
import { PulumiProject } from "./pulumi";

const tsc = [process.execPath, path.join(root, "node_modules/typescript/bin/tsc"), "--noEmit"];

let lab: Lab;
let project: PulumiProject;

beforeAll(async () => {
  lab = await engineLab({ gateways: 2 });
  project = new PulumiProject(lab);
  for (const name of ["Pulumi.yaml", "index.ts", "package.json", "tsconfig.json"]) {
    fs.copyFileSync(path.join(root, "examples/quickstart", name), path.join(project.folder, name));
  }
  await installTarball(project.folder, await packPackage(project.folder));
});
afterAll(async () => {
  await labDown(lab.name);
  project.remove();
});

test("the tarball has what it needs and nothing that only we need", () => {
  const installed = path.join(project.folder, "node_modules/pulumi-egress");
  const { exports } = JSON.parse(fs.readFileSync(path.join(installed, "package.json"), "utf8")) as {
    exports: Record<string, string | Record<string, string>>;
  };
  const files = Object.values(exports).flatMap((target) =>
    typeof target === "string" ? [target] : Object.values(target),
  );
  expect(files.filter((file) => !fs.existsSync(path.join(installed, file)))).toEqual([]);
  expect(fs.readdirSync(path.join(installed, "dist")).sort()).toEqual(["bpf", "components", "provider"]);
  expect(fs.readdirSync(path.join(installed, "dist/bpf")).sort()).toEqual([
    "client.bpf.o",
    "connections.bpf.o",
    "gateway.bpf.o",
  ]);
});

test.each(["README.md", "DESIGN.md"])("what %s links to is in the tarball", (name) => {
  const installed = path.join(project.folder, "node_modules/pulumi-egress");
  const text = fs.readFileSync(path.join(installed, name), "utf8");
  const targets = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = ""]) => target);
  expect(targets).not.toEqual([]);
  expect(targets.filter((target) => !fs.existsSync(path.join(installed, target)))).toEqual([]);
});

test("examples/quickstart type-checks against it, strictly", async () => {
  expect(await run(tsc, { cwd: project.folder })).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("so do the programs of README.md", async () => {
  const text = fs.readFileSync(path.join(root, "README.md"), "utf8");
  const programs = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, program = ""]) => program);
  expect(programs).toEqual([expect.stringContaining("new EgressPolicy("), expect.stringContaining('placement: "pod"')]);
  const [index, kept] = [path.join(project.folder, "index.ts"), path.join(project.folder, "index.kept")];
  const parts = programs.map((program, i) => [path.join(project.folder, `part-${i}.ts`), program] as const);
  fs.renameSync(index, kept);
  fs.writeFileSync(index, parts.map((_, i) => `import "./part-${i}";\n`).join(""));
  for (const [file, program] of parts) fs.writeFileSync(file, program);
  const compiled = await run(tsc, { cwd: project.folder });
  for (const [file] of parts) fs.rmSync(file);
  fs.renameSync(kept, index);
  expect(compiled).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("and its first preview knows everything", async () => {
  await project.ok("stack", "init", "dev");
  await setKey(project, lab, "egress:sshKey");
  const plan = plannedIn(await project.ok("preview", "--json"));
  const types = ["NodeMark", "NodeMark", "NodeMark", "NodeMark", "EgressGateway", "EgressPolicy"];
  expect(plan.map(({ type, op }) => [type, op])).toEqual(types.map((type) => [type, "create"]));
  expect(plan.at(-1)?.inputs).toMatchObject({ egressIP: "192.168.0.200" });
});

test("its up is what the outside sees, a second preview finds nothing, and its destroy leaves the nodes as they were", async () => {
  const seen = async (pod: string) => (await podCall(lab, pod, "203.0.113.10")).source;
  const pods = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1", "pod-client-1-2"];
  await project.ok("up", "--yes", "--skip-preview");
  expect(await Promise.all(pods.map(seen))).toEqual([...Array(3).fill("192.168.0.200"), "192.168.0.11"]);
  await project.ok("preview", "--expect-no-changes");
  await project.ok("destroy", "--yes", "--skip-preview");
  expect(await Promise.all(pods.map(seen))).toEqual(["192.168.0.11", "192.168.0.12", "192.168.0.101", "192.168.0.11"]);
  for (const { name } of lab.nodes) expect([name, await labDrift(lab, name)]).toEqual([name, ""]);
});
