import * as pulumi from "@pulumi/pulumi";
import { NodeFleet, type NodeFleetArgs } from "../../../components/node-fleet";

type Inputs = Readonly<Record<string, unknown>>;
let made: Record<string, { readonly type: string; readonly inputs: Inputs }>;

beforeEach(async () => {
  made = {};
  await pulumi.runtime.setMocks({
    newResource: ({ name, type, inputs }) => {
      made[name] = { type, inputs };
      return { id: `${name}-id`, state: { ...inputs, ref: `ref of ${name}` } };
    },
    call: ({ inputs }) => inputs,
  });
});

const args: NodeFleetArgs = {
  ignore: { pods: ["10.0.0.0/16"], services: ["10.96.0.0/16"], nodes: ["192.168.0.0/24"] },
  connection: { user: "ops", privateKey: "config:KEY" },
  nodes: {
    "node-b": { underlayIP: "192.168.0.2", uplink: "eth1", mark: "0x26000200" },
    "node-a": { underlayIP: "192.168.0.1", connection: { host: "a.example", port: 2222 } },
  },
};

/** The inputs of the NodeMarks that a fleet of these arguments makes, by name. */
async function marksOf(change: Partial<NodeFleetArgs> = {}): Promise<Record<string, Inputs>> {
  const fleet = new NodeFleet("fleet", { ...args, ...change });
  for (const resource of [fleet, ...Object.values(fleet.nodes)]) await urnOf(resource);
  const marks = Object.entries(made).filter(([, { type }]) => type.endsWith(":NodeMark"));
  return Object.fromEntries(marks.map(([name, { inputs }]) => [name, inputs]));
}

const urnOf = (resource: pulumi.Resource): Promise<string> =>
  new Promise((resolve) => resource.urn.apply((urn) => resolve(urn)));

test("a fleet is one NodeMark a node, each with its own connection over the common one", async () => {
  const marks = await marksOf();
  expect(Object.keys(marks).sort()).toEqual(["fleet-node-a", "fleet-node-b"]);
  expect(marks["fleet-node-a"]).toMatchObject({
    node: "node-a",
    underlayIP: "192.168.0.1",
    connection: { host: "a.example", port: 2222, user: "ops", privateKey: "config:KEY" },
  });
  expect(marks["fleet-node-b"]).toMatchObject({
    node: "node-b",
    uplink: "eth1",
    mark: "0x26000200",
    connection: { host: "192.168.0.2", user: "ops", privateKey: "config:KEY" },
  });
});

test("the registry is on the first node by name, reached as that node is", async () => {
  const marks = await marksOf();
  const registry = {
    node: "node-a",
    connection: { host: "a.example", port: 2222, user: "ops", privateKey: "config:KEY" },
  };
  for (const { fleet } of Object.values(marks)) expect(fleet).toMatchObject({ name: "fleet", registry });
});

test("the registry and the fleet's name can be given, and all nodes share all settings", async () => {
  const marks = await marksOf({ registry: "node-b", name: "prod", vni: 77 });
  const fleets = Object.values(marks).map(({ fleet }) => JSON.stringify(fleet));
  expect(new Set(fleets).size).toBe(1);
  const registry = expect.objectContaining({ node: "node-b" });
  expect(JSON.parse(fleets[0] ?? "")).toEqual({ name: "prod", vni: 77, ignore: args.ignore, registry });
});

test("pick gives nodes by name in the order asked, and names a node that is not there", () => {
  const fleet = new NodeFleet("fleet", args);
  expect(fleet.pick("node-b", "node-a")).toEqual([fleet.nodes["node-b"], fleet.nodes["node-a"]]);
  expect(() => fleet.pick("node-c")).toThrow('the fleet has no node "node-c"; it has node-a, node-b');
});
