import * as pulumi from "@pulumi/pulumi";
import { EgressGateway, NodeFleet, NodeMark, type NodeMarkArgs, type NodeRef } from "../../../provider";

type Inputs = Readonly<Record<string, unknown>>;

/** A resource of somebody else whose address is an output. */
class Machine extends pulumi.CustomResource {
  declare readonly address: pulumi.Output<string>;
  declare readonly port: pulumi.Output<number>;
  constructor(name: string) {
    super("test:index:Machine", name, { address: undefined, port: undefined });
  }
}

/** The inputs of what a program makes, by name, in an update or in a first preview, where outputs are not known. */
async function inputsOf(program: () => void, isPreview = false): Promise<Record<string, Inputs>> {
  const made: Record<string, Inputs> = {};
  const machine = isPreview ? {} : { address: "192.168.0.1", port: 2222 };
  const newResource = ({ name, type, inputs }: pulumi.runtime.MockResourceArgs) => {
    made[name] = inputs as Inputs;
    return { id: `${name}-id`, state: type === "test:index:Machine" ? machine : (inputs as Inputs) };
  };
  await pulumi.runtime.setMocks({ newResource, call: ({ inputs }) => inputs }, "project", "stack", isPreview);
  await pulumi.runtime.runInPulumiStack(async () => program());
  await pulumi.runtime.disconnect();
  return made;
}

const ignore = { pods: ["10.0.0.0/16"], services: ["10.96.0.0/16"], nodes: ["192.168.0.0/24"] };
const plain: NodeMarkArgs = {
  node: "a",
  underlayIP: "192.168.0.1",
  connection: { host: "192.168.0.1", port: 2222 },
  fleet: { name: "f", registry: { node: "a", connection: { host: "192.168.0.1" } }, ignore },
};

/** The same with an output in place of each leaf, list and object in turn. */
function withOutputs({ address, port }: Machine): NodeMarkArgs[] {
  const connection = { host: address, port };
  const registry = { node: pulumi.output("a"), connection: { host: address } };
  const lists = { ...ignore, services: pulumi.output(["10.96.0.0/16"]), nodes: Promise.resolve(["192.168.0.0/24"]) };
  const pods = [address.apply(() => "10.0.0.0/16")];
  return [
    { ...plain, underlayIP: address, connection },
    { ...plain, connection: pulumi.output(connection) },
    { ...plain, fleet: { name: pulumi.output("f"), registry, ignore: { ...lists, pods } } },
    { ...plain, fleet: { name: "f", registry: pulumi.output(registry), ignore: pulumi.output(lists) } },
    { ...plain, fleet: pulumi.output({ name: "f", registry, ignore: lists }) },
  ];
}

test("an output may stand for each value, list and object of a NodeMark", async () => {
  const made = await inputsOf(() => {
    const all = withOutputs(new Machine("machine"));
    for (const [i, args] of all.entries()) new NodeMark(`mark-${i}`, args);
  });
  for (let i = 0; i < 5; i++) expect(made[`mark-${i}`]).toMatchObject({ ...plain });
});

/** What a mock sees of a value that is not known yet. */
const OPEN = { __pulumiUnknown: true };

/** A fleet of a node that is reached by outputs and one that is not. */
function mixedFleet(): NodeFleet {
  const { address, port } = new Machine("machine");
  return new NodeFleet("fleet", {
    ignore: { ...ignore, pods: [address.apply(() => "10.0.0.0/16")] },
    nodes: { a: { underlayIP: address, connection: { port } }, b: { underlayIP: "192.168.0.2" } },
  });
}

test("a fleet takes them too, and its nodes wait for no output of each other", async () => {
  const made = await inputsOf(mixedFleet);
  const registry = { node: "a", connection: { host: "192.168.0.1", port: 2222 } };
  const fleet = { name: "fleet", ignore, registry };
  expect(made["fleet-a"]).toMatchObject({ underlayIP: "192.168.0.1", connection: registry.connection, fleet });
  expect(made["fleet-b"]).toMatchObject({ underlayIP: "192.168.0.2", connection: { host: "192.168.0.2" }, fleet });
  expect(made["fleet-a"]?.hint).toEqual({ connection: {}, nodes: { b: "192.168.0.2" } });
});

test("what a fleet's nodes have in common may come as one output, under what a node names itself", async () => {
  const made = await inputsOf(() => {
    const connection = pulumi.output({ user: "ops", port: 22, privateKey: "config:KEY" });
    const nodes = { a: { underlayIP: "192.168.0.1", connection: { port: 2222 } } };
    new NodeFleet("fleet", { ignore, connection, nodes });
  });
  const connection = { host: "192.168.0.1", user: "ops", port: 2222, privateKey: "config:KEY" };
  expect(made["fleet-a"]).toMatchObject({ connection, fleet: { registry: { connection } } });
});

test("in a first preview what is not known yet is left open, and nothing beside it", async () => {
  const made = await inputsOf(mixedFleet, true);
  const registry = { node: "a", connection: { host: OPEN, port: OPEN } };
  const fleet = { name: "fleet", ignore: { ...ignore, pods: [OPEN] }, registry };
  expect(made["fleet-a"]).toMatchObject({ underlayIP: OPEN, connection: registry.connection, fleet });
  expect(made["fleet-b"]).toMatchObject({ underlayIP: "192.168.0.2", connection: { host: "192.168.0.2" }, fleet });
});

test("a gateway takes a whole list of nodes as an output, as another stack exports it", async () => {
  const refs = [{ node: "a" }, { node: "b" }] as NodeRef[];
  const made = await inputsOf(() => {
    new EgressGateway("list", { gateways: pulumi.output(refs), clients: Promise.resolve(refs), egressIPs: [] });
    new EgressGateway("each", { gateways: refs.map((ref) => pulumi.output(ref)), egressIPs: pulumi.output(["ip"]) });
  });
  expect(made.list).toMatchObject({ gateways: refs, clients: refs });
  expect(made.each).toMatchObject({ gateways: refs, egressIPs: ["ip"] });
});
