import * as fs from "node:fs";
import * as path from "node:path";
import { execOk, type Lab, labDown, labDrift } from "../lab";
import { Operator } from "../operator/operator";
import { type Planned as MiniPlanned, Stack } from "../operator/stack";
import { putBack, type Removed, removeIgnored, removeLegRoute, removeSource } from "./by-hand";
import { EngineProject, engineLab } from "./engine-project";
import { root } from "./install";
import { filesWith, privateLines } from "./key-trace";
import { changedIn, type Planned, plannedIn, saidIn } from "./preview";
import { storyOf } from "./story";

let lab: Lab;
let project: EngineProject;
/** What the real engine planned, for the mini engine to agree with. */
const planned: MiniPlanned[][] = [];
const edit = { sources: ["10.0.1.12"], without: "second" };

beforeAll(async () => {
  lab = await engineLab();
  project = new EngineProject(lab);
  await project.addStack("dev");
});
afterAll(async () => {
  await labDown(lab.name);
  project.remove();
});

test("what check refuses fails the preview with exit code 1, all problems of a resource at once", async () => {
  project.program(`new egress.NodeMark("bad", {
    node: "No Name", underlayIP: "1.2.3", mark: "0x1", connection: { host: "h", privateKey: "a key" },
    fleet: {
      name: "lab", registry: { node: "r", connection: { host: "r", port: 0, privateKey: "config:KEY" } },
      ignore: { pods: ["fe80::/64"], services: ["10.96.0.0/16"] },
    },
  });`);
  const { code, stdout } = await project.run(["preview"]);
  const named = [...stdout.matchAll(/ property (\S+) value .* has a problem: /g)].map(([, property]) => property);
  const wrong = [
    "connection.privateKey",
    "fleet.ignore.nodes",
    "fleet.ignore.pods[0]",
    "fleet.registry.connection.port",
  ];
  expect([code, [...new Set(named)].sort()]).toEqual([1, [...wrong, "mark", "node", "underlayIP"]]);
});

test("a first preview on nothing knows marks, placement and egress IPs", async () => {
  project.program("declare(storyOf(lab), { connection });");
  const plan = plannedIn(await project.preview(0));
  remember(plan);
  expect(plan.map(({ op }) => op)).toEqual(plan.map(() => "create"));
  const inputs = Object.fromEntries(plan.map((one) => [one.name, one.inputs]));
  const marks = lab.nodes.map(({ name }) => inputs[name]?.mark);
  expect(new Set(marks).size).toBe(lab.nodes.length);
  for (const mark of marks) expect(mark).toMatch(/^0x26[0-9a-f]{4}00$/);
  expect(inputs.gateway).toMatchObject({ placement: { "192.168.0.200": "gateway-1", "192.168.0.201": "gateway-1" } });
  expect([inputs.first?.egressIP, inputs.second?.egressIP]).toEqual(["192.168.0.200", "192.168.0.201"]);
});

test("after up a preview finds nothing to do", async () => {
  await project.up();
  const clean = await project.preview(0, "--expect-no-changes");
  remember(plannedIn(clean));
  expect(saidIn(clean)).toEqual([]);
});

test("a network of a node that fleet.ignore has not is named in preview, with the node, and is no change", async () => {
  const route = ["198.18.7.0/24", "via", "192.168.0.1"];
  await execOk(lab, "client-1", ["ip", "route", "add", ...route]);
  const named = saidIn(await project.preview(0, "--expect-no-changes"));
  await execOk(lab, "client-1", ["ip", "route", "del", ...route]);
  expect(named).toEqual([expect.stringMatching(/^node client-1: 198\.18\.7\.0\/24 \(\S+\): .* not in fleet\.ignore/)]);
});

const byHand: [string, string, () => Promise<Removed>][] = [
  ["NodeMark", "client-1", () => removeIgnored(lab, "client-1", "10.96.0.0/16")],
  ["EgressGateway", "gateway", () => removeLegRoute(lab, "client-2", "192.168.0.101")],
  ["EgressPolicy", "first", () => removeSource(lab, "client-1", "10.0.1.11")],
];
test.each(byHand)("what is removed by hand shows as one changed %s, with exit code 7", async (type, name, remove) => {
  const removed = await remove();
  const changed = changedIn(await project.preview(7, "--expect-no-changes"));
  if (type === "EgressPolicy") remember(changed);
  else await putBack(lab, removed);
  const seen = changed.map((one) => [one.type, one.name, one.op, one.inputs.drift]);
  expect(seen).toEqual([[type, name, "update", { [removed.node]: [expect.stringContaining(removed.shows)] }]]);
});

test("a refresh finds what has drifted as well, but not what differs there", async () => {
  const { code, stdout } = await project.run(["refresh", "--preview-only", "--expect-no-changes", "--diff"]);
  const changed = [...stdout.matchAll(/~ (\S+): \((\w+)\)[\s\S]*?\[urn=\S+::(\S+)\]/g)];
  expect({ code, changed: changed.map(([, ...words]) => words) }).toEqual({
    code: 7,
    changed: [["pulumi-nodejs:dynamic/egress:EgressPolicy", "update", "first"]],
  });
  expect(stdout).not.toMatch(/missing|drift/);
});

test("up repairs, and then neither preview nor refresh finds anything", async () => {
  await project.up();
  await project.preview(0, "--expect-no-changes");
  await project.ok("refresh", "--preview-only", "--expect-no-changes");
});

test("an edited program changes what was edited and nothing else", async () => {
  project.program(`declare(storyOf(lab, ${JSON.stringify(edit)}), { connection });`);
  const plan = plannedIn(await project.preview(0));
  remember(plan);
  const changed = plan.filter(({ op }) => op !== "same").map(({ name, op }) => `${op} ${name}`);
  expect(changed.sort()).toEqual(["delete second", "update first"]);
});

test("state holds the providers as the golden texts have them", async () => {
  for (const [name, kind] of [
    ["client-1", "node-mark"],
    ["gateway", "egress-gateway"],
    ["first", "egress-policy"],
  ] as const) {
    const golden = fs.readFileSync(path.join(root, `test/unit/resources/golden/${kind}.txt`), "utf8");
    expect((await project.resource(name)).inputs?.__provider).toBe(golden);
  }
});

test("the secret key is in clear neither in state nor in what was printed nor on a node", async () => {
  await project.ok("stack", "export");
  const secret = privateLines(lab);
  expect(secret.length).toBeGreaterThan(0);
  for (const line of secret) {
    expect(project.printed.filter((text) => text.includes(line))).toEqual([]);
    expect(filesWith(project.folder, line)).toEqual([]);
    for (const { name } of lab.nodes) {
      const found = await execOk(lab, name, ["sh", "-c", `grep -rlF '${line}' /run /var/lib /root /tmp /etc || true`]);
      expect({ [name]: found }).toEqual({ [name]: "" });
    }
  }
});

test("destroy leaves every node as it was", async () => {
  await project.destroy();
  for (const { name } of lab.nodes) expect({ [name]: await labDrift(lab, name) }).toEqual({ [name]: "" });
});

test("the mini engine of the scenarios plans the same: create, same, drift, edit", async () => {
  const operator = Operator.start(lab);
  try {
    const stack = new Stack(operator);
    const mini = [await stack.preview(storyOf(lab))];
    await stack.up(storyOf(lab));
    mini.push(await stack.preview(storyOf(lab)));
    await removeSource(lab, "client-1", "10.0.1.11");
    mini.push((await stack.preview(storyOf(lab))).filter(({ change }) => change !== "same"));
    await stack.up(storyOf(lab));
    mini.push(await stack.preview(storyOf(lab, edit)));
    await stack.destroy();
    expect(mini.map(comparable)).toEqual(planned.map(comparable));
  } finally {
    await operator.stop();
  }
});

function remember(plan: readonly Planned[]): void {
  planned.push(plan.map(({ name, op, drift }) => ({ name, change: op as MiniPlanned["change"], drift })));
}

/** Resources of one type are independent, and the real engine takes them as they come. */
function comparable(plan: readonly MiniPlanned[]): string[] {
  // Names of sets and marks follow from the owner's id, which is random.
  return plan.map((one) => JSON.stringify(one).replace(/egw-(s|d)-[0-9a-f]+/g, "egw-$1-")).sort();
}
