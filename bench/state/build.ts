import { isDeepStrictEqual } from "node:util";
import { compactNodes } from "../../provider/model/compact-nodes";
import { resetContext } from "../../provider/runtime/context";
import * as egressGateway from "../../provider/runtime/egress-gateway";
import * as egressPolicy from "../../provider/runtime/egress-policy";
import * as nodeMark from "../../provider/runtime/node-mark";
import { forgetRun } from "../../provider/runtime/run-memory";
import { answeringNodes } from "./answering-nodes";
import { engineState, type Kept, type Properties } from "./engine-state";
import { providerTexts } from "./provider-text";

/** How large a stack is. */
export interface StackSize {
  readonly policies: number;
  readonly sources: number;
  readonly destinations: number;
  readonly clients: number;
  readonly gateways: number;
}

type Runtime = Pick<typeof egressPolicy, "check" | "create">;

const PROJECT = "egress";
const egressIPs = ["192.168.0.200", "192.168.0.201", "192.168.0.202", "192.168.0.203"];

/** The state that the real engine would keep of such a stack, made by the provider's own check and create. */
export async function stateOf(size: StackSize): Promise<Properties> {
  const texts = await providerTexts();
  await resetContext(answeringNodes());
  forgetRun();
  const keep = async (
    type: string,
    runtime: Runtime,
    one: Pick<Kept, "name" | "from">,
    args: Properties,
  ): Promise<Kept> => {
    const token = `pulumi-nodejs:dynamic/egress:${type}`;
    const label = { project: `organization/${PROJECT}`, stack: "dev", name: one.name };
    const news = { ...args, label, dryRun: false, __provider: texts.get(token) };
    const { inputs, failures = [] } = await runtime.check({}, news);
    if (failures.length > 0) throw new Error(`${one.name}: ${failures.map(({ reason }) => reason).join("; ")}`);
    const { id, outs } = await runtime.create(inputs);
    return { ...one, type: token, id, given: Object.keys(news), inputs, outputs: outs };
  };

  const nodes = nodesOf(size);
  const marks: Kept[] = [];
  for (const { node, ...args } of nodes)
    marks.push(
      await keep("NodeMark", nodeMark, { name: `fleet-${node}` }, { node, ...args, hint: compactNodes(nodes) }),
    );
  const [gateways, clients] = [marks.slice(0, size.gateways), marks.slice(size.gateways)];
  const gateway = await keep(
    "EgressGateway",
    egressGateway,
    { name: "gateway", from: { gateways: namesOf(gateways), clients: namesOf(clients) } },
    { gateways: refsOf(gateways), clients: refsOf(clients), egressIPs },
  );
  const policyAt = (index: number, create: Runtime["create"]): Promise<Kept> =>
    keep(
      "EgressPolicy",
      { check: egressPolicy.check, create },
      { name: `policy-${String(index).padStart(4, "0")}`, from: { gateway: [gateway.name] } },
      { gateway: gateway.outputs.ref, ...policyArgs(index, size) },
    );
  const first = await policyAt(0, egressPolicy.create);
  if (!isDeepStrictEqual(first.outputs, (await asCreated(first.inputs)).outs))
    throw new Error("a policy keeps something else in its outputs than what its check gave");
  const policies = [first];
  for (let i = 1; i < size.policies; i++) policies.push(await policyAt(i, asCreated));
  await resetContext();
  return engineState(PROJECT, [...marks, gateway, ...policies]);
}

/** What create keeps, without programming nodes: the first policy is created for real, and held against this. */
async function asCreated(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const { drift: _drift, dryRun: _dryRun, ...outs } = inputs;
  return { id: String(inputs.ownerId), outs };
}

function nodesOf({ clients, gateways }: StackSize) {
  const named = [
    ...numbers(gateways).map((i) => ({ node: `gateway-${i + 1}`, underlayIP: `192.168.0.${101 + i}` })),
    ...numbers(clients).map((i) => ({ node: `worker-${i + 1}`, underlayIP: `192.168.0.${11 + i}` })),
  ];
  const connectionTo = (host: string) => ({ host, user: "root", privateKey: "config:egress:sshKey" });
  const fleet = {
    name: "fleet",
    registry: { node: "gateway-1", connection: connectionTo("192.168.0.101") },
    ignore: { pods: ["10.0.0.0/16"], services: ["10.96.0.0/16"], nodes: ["192.168.0.0/24"] },
  };
  return named.map((one) => ({ ...one, fleet, connection: connectionTo(one.underlayIP) }));
}

/** Every second address and network, so that none can be joined with its neighbour. */
function policyArgs(index: number, { sources, destinations }: StackSize): Properties {
  const pod = (n: number): string => `10.0.${((2 * n) >> 8) & 255}.${(2 * n) & 255}`;
  const network = (n: number): string => `198.${18 + ((n >> 13) & 1)}.${(n >> 5) & 255}.${(n & 31) << 3}/30`;
  return {
    sources: { cidrs: numbers(sources).map((n) => pod(index * sources + n)) },
    destinations: { cidrs: numbers(destinations).map((n) => network(index * destinations + n)) },
    egressIP: egressIPs[0],
  };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const namesOf = (kept: readonly Kept[]): string[] => kept.map(({ name }) => name);
const refsOf = (kept: readonly Kept[]): unknown[] => kept.map(({ outputs }) => outputs.ref);
