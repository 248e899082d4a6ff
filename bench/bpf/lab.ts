import { type Lab, labDown, labUp } from "../../test/lab";
import { Operator } from "../../test/operator/operator";
import { Stack } from "../../test/operator/stack";
import { counted } from "../../test/scenarios/programs";
import { atEnd } from "../cleanup";
import { say } from "../progress";
import { startServers } from "../throughput/servers";
import { verifyPaths } from "../throughput/verify";
import { excludeFromMasquerade, labSize, type Path, type PathName, pathsOf, programOf } from "./paths";
import { Sender } from "./send";
import { compiledTool } from "./tool";

export interface Scene {
  readonly lab: Lab;
  readonly stack: Stack;
  readonly paths: Readonly<Record<PathName, Path>>;
  readonly sender: Sender;
}

/** A lab whose nodes the provider has programmed, with a path of each kind, whose sources were seen. */
export async function scene(name: string): Promise<Scene> {
  say(`${name}: builds a lab of ${labSize.clients} client nodes and ${labSize.gateways} gateway nodes`);
  await labDown(name);
  atEnd(() => labDown(name));
  const lab = await labUp({ name, ...labSize });
  const operator = Operator.start(lab);
  atEnd(() => operator.stop());
  const stack = new Stack(operator);
  await stack.up(programOf(lab));
  await excludeFromMasquerade(lab);
  await startServers(lab);
  const sender = await Sender.start(lab, await compiledTool("traffic"));
  const paths = pathsOf(lab);
  await verifyPaths(lab, Object.values(paths));
  return { lab, stack, paths, sender };
}

/** @throws Error if the bpf path is carried by the stack, or the iptables path by programs. */
export async function verifyCarriers({ lab, paths, sender }: Scene): Promise<void> {
  const REQUESTS = 200;
  const ways: readonly (readonly [string, string])[] = [
    [paths.bpf.client, "from-pod to-tunnel"],
    [paths.bpf.gateway ?? "", "uplink-gateway to-outside"],
    [paths.bpf.gateway ?? "", "from-outside to-tunnel"],
    [paths.bpf.client, "uplink-client to-pod"],
  ];
  const counts = () => Promise.all(ways.map(async ([node, way]) => (await counted(lab, node)).get(way) ?? 0));
  const before = await counts();
  await sender.requests(paths.iptables, REQUESTS);
  const between = await counts();
  await sender.requests(paths.bpf, REQUESTS);
  const after = await counts();
  for (const [i, [node, way]] of ways.entries()) {
    const [others, own] = [(between[i] ?? 0) - (before[i] ?? 0), (after[i] ?? 0) - (between[i] ?? 0)];
    if (own < REQUESTS * 0.9) throw new Error(`of ${REQUESTS} requests on the bpf path ${own} took ${way} on ${node}`);
    if (others > REQUESTS * 0.1) throw new Error(`of the iptables path ${others} packets took ${way} on ${node}`);
  }
}
