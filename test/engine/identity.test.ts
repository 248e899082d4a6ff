import { execOk, type Lab, labDown, labDrift } from "../lab";
import { EngineProject, engineLab } from "./engine-project";
import { changedIn, plannedIn } from "./preview";

let lab: Lab;
let project: EngineProject;

const story = (more = "") => `
  const made = declare(storyOf(lab), { connection, options: { second: { retainOnDelete: true } }, ${more} });
  exports.nodes = Object.fromEntries(lab.nodes.map(({ name }) => [name, made[name].ref]));`;

beforeAll(async () => {
  lab = await engineLab();
  project = new EngineProject(lab);
  await project.addStack("dev");
  project.program(story());
  await project.up();
});
afterAll(async () => {
  await labDown(lab.name);
  project.remove();
});

test("another stack uses the nodes by StackReference, one or a whole list, in its first preview too", async () => {
  await project.addStack("other");
  project.program(`
    const fleet = new pulumi.StackReference("organization/engine/dev").getOutput("nodes");
    const gateway = new egress.EgressGateway("theirs", {
      gateways: fleet.apply((nodes) => [nodes["gateway-1"]]), clients: [fleet.apply((nodes) => nodes["client-2"])],
      egressIPs: ["192.168.0.210"],
    });
    new egress.EgressPolicy("theirs", { gateway, sources: { cidrs: ["10.0.2.12"] } });`);
  const plan = plannedIn(await project.preview(0));
  expect(plan).toMatchObject([
    { op: "create", inputs: { placement: { "192.168.0.210": "gateway-1" } } },
    { op: "create", inputs: { egressIP: "192.168.0.210" } },
  ]);
  await project.up();
  await project.destroy();
  await project.ok("stack", "select", "dev");
});

test("what state has forgotten is adopted: state delete, and retainOnDelete", async () => {
  const [first, second] = [await project.resource("first"), await project.resource("second")];
  await project.ok("state", "delete", first.urn, "--yes");
  project.program(story().replace("storyOf(lab)", 'storyOf(lab, { without: "second" })'));
  await project.up();
  const retained = await execOk(lab, "client-2", ["ipset", "save"]);
  expect(retained).toMatch(/^add egw-s-\S+ 10\.0\.2\.11$/m);
  await expect(project.resource("second")).rejects.toThrow("the state has no second");
  project.program(story().replace("retainOnDelete: true", "retainOnDelete: false"));
  await project.up();
  expect([(await project.resource("first")).id, (await project.resource("second")).id]).toEqual([first.id, second.id]);
  expect(await execOk(lab, "client-2", ["ipset", "save"])).toBe(retained);
});

test("a resource that is replaced by force stays what it is", async () => {
  const before = await execOk(lab, "client-1", ["ipset", "save"]);
  const first = await project.resource("first");
  await project.up("--target", first.urn, "--target-replace", first.urn);
  expect((await project.resource("first")).id).toBe(first.id);
  expect(await execOk(lab, "client-1", ["ipset", "save"])).toBe(before);
  await project.preview(0, "--expect-no-changes");
});

test("a second resource of one name, under another parent, is refused and changes nothing", async () => {
  project.program(`${story().replace("retainOnDelete: true", "retainOnDelete: false")}
    const parent = new pulumi.ComponentResource("test:index:Other", "other");
    new egress.EgressPolicy("first", { gateway: made.gateway, sources: { cidrs: ["10.0.1.12"] } }, { parent });`);
  const { code, stdout } = await project.run(["preview"]);
  expect({ code, stdout }).toEqual({
    code: 1,
    stdout: expect.stringContaining("two resources of this program are "),
  });
});

test("renamed resources (by aliases) and a renamed stack change nothing", async () => {
  project.program(story('prefix: "new-"').replace("retainOnDelete: true", "retainOnDelete: false"));
  await project.ok("stack", "rename", "production");
  expect(changedIn(await project.preview(0, "--expect-no-changes"))).toEqual([]);
});

test("a node that can't be reached is drift, never clean", async () => {
  await execOk(lab, "client-2", ["sh", "-c", 'kill "$(cat /run/sshd.pid)"']);
  const changed = changedIn(await project.preview(7, "--expect-no-changes"));
  expect(changed.map(({ name }) => name).sort()).toEqual(["new-client-2", "new-first", "new-gateway", "new-second"]);
  for (const { drift } of changed) {
    expect(drift).toEqual({ "client-2": [expect.stringContaining("192.168.0.12:22 refused the connection")] });
  }
});

test("a node that is written off by name lets destroy go on, and all others are as they were", async () => {
  await project.ok("config", "set", "egress:abandon", "client-2");
  // A plain destroy asks the provider as the last up configured it.
  await project.destroy("--run-program");
  for (const name of ["client-1", "gateway-1"]) expect({ [name]: await labDrift(lab, name) }).toEqual({ [name]: "" });
});
