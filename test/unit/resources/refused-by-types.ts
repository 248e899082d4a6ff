import * as pulumi from "@pulumi/pulumi";
import { EgressGateway, NodeFleet, NodeMark, type NodeMarkArgs } from "../../../provider";

/** Never run: with each of these the types of the arguments refuse what they should, or tsc says that they don't. */
export function refusedByTypes(
  plain: NodeMarkArgs,
  address: pulumi.Output<string>,
  port: pulumi.Output<number>,
  ignore: { pods: string[]; services: string[]; nodes: string[] },
): void {
  // @ts-expect-error: a number is no address
  new NodeMark("mark", { ...plain, underlayIP: port });
  // @ts-expect-error: nor inside a connection
  new NodeMark("mark", { ...plain, connection: { host: port } });
  // @ts-expect-error: a connection has a host
  new NodeMark("mark", { ...plain, connection: { port } });
  // @ts-expect-error: one address is no list
  new NodeFleet("fleet", { ignore: { ...ignore, pods: address }, nodes: {} });
  // @ts-expect-error: what is misspelt
  new NodeFleet("fleet", { ignore: { ...ignore, extras: [address] }, nodes: {} });
  // @ts-expect-error: names of nodes name resources
  new NodeFleet("fleet", { ignore, registry: address, nodes: {} });
  // @ts-expect-error: names alone are no nodes
  new EgressGateway("gateway", { gateways: pulumi.output(["a"]), egressIPs: [address] });
}
