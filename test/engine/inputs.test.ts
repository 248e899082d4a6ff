import { type Lab, labDown, labDrift } from "../lab";
import { EngineProject, engineLab } from "./engine-project";
import { plannedIn } from "./preview";

let lab: Lab;
let project: EngineProject;

/** Machines of the same program whose addresses nobody knows before they are made, and the fleet on them. */
const program = `
  class Machine extends pulumi.dynamic.Resource {
    constructor(name, address) {
      const create = async (inputs) => ({ id: inputs.address, outs: { ...inputs, answersAt: inputs.address } });
      super({ create }, name, { address, answersAt: undefined });
    }
  }
  const { pods, services, nodes } = lab.ranges;
  const [pod] = lab.pods.map(({ address }) => address);
  const machines = lab.nodes.map(({ name, underlayIP }) => [name, new Machine("machine-" + name, underlayIP).answersAt]);
  const fleet = new egress.NodeFleet("lab", {
    ignore: { pods: [machines[0][1].apply(() => pods)], services: pulumi.output([services]), nodes: [nodes] },
    connection,
    registry: "gateway-1",
    nodes: Object.fromEntries(machines.map(([name, ip]) => [name, { underlayIP: ip, connection: { host: ip } }])),
  });
  const gateway = new egress.EgressGateway("gateway", {
    gateways: pulumi.all(fleet.pick("gateway-1").map(({ ref }) => ref)),
    clients: fleet.pick("client-1", "client-2"),
    egressIPs: ["192.168.0.200"],
  });
  new egress.EgressPolicy("policy", { gateway, sources: { cidrs: [pulumi.output(pod)] } });`;

beforeAll(async () => {
  lab = await engineLab();
  project = new EngineProject(lab);
  await project.addStack("dev");
});
afterAll(async () => {
  await labDown(lab.name);
  project.remove();
});

test("a first preview plans all, though no address is known yet", async () => {
  project.program(program);
  const plan = plannedIn(await project.preview(0));
  const made = ["gateway", "lab-client-1", "lab-client-2", "lab-gateway-1", "policy"];
  expect(plan.map(({ op, name }) => `${op} ${name}`).sort()).toEqual(made.map((name) => `create ${name}`));
});

test("up learns them on its way, and then preview finds nothing to do", async () => {
  await project.up();
  const { inputs } = await project.resource("lab-client-1");
  const connection = { host: "192.168.0.11", privateKey: "config:KEY", dialErrorLimit: 1 };
  expect(inputs).toMatchObject({
    underlayIP: "192.168.0.11",
    connection,
    fleet: { ignore: { pods: [lab.ranges.pods] } },
  });
  expect((await project.resource("policy")).inputs).toMatchObject({ egressIP: "192.168.0.200" });
  await project.preview(0, "--expect-no-changes");
});

test("destroy leaves every node as it was", async () => {
  await project.destroy();
  for (const { name } of lab.nodes) expect({ [name]: await labDrift(lab, name) }).toEqual({ [name]: "" });
});
