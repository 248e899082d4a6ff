import { minimalCover } from "../model/address";
import type { EgressGatewayArgs, GatewayRef, NodeRef } from "../model/args";
import { compactNodes } from "../model/compact-nodes";
import { isAbandoned } from "./abandon";
import type { Label } from "./label";

/** An EgressGateway as it is kept in state. */
export interface GatewayState extends Omit<EgressGatewayArgs, "placement"> {
  readonly label: Label;
  readonly ownerId: string;
  readonly placement: Readonly<Record<string, string>>;
  readonly ref: GatewayRef;
}

/** Gateways and clients, each node once, gateways first. */
export function nodesOf(args: EgressGatewayArgs): NodeRef[] {
  const nodes = new Map<string, NodeRef>();
  for (const node of [...args.gateways, ...(args.clients ?? [])]) if (!nodes.has(node.node)) nodes.set(node.node, node);
  return [...nodes.values()];
}

export const fleetOf = (args: EgressGatewayArgs): string => args.gateways[0]?.fleet ?? "";

/** Where a node is named: as gateway node before as client node. */
export function pathOf({ gateways, clients = [] }: EgressGatewayArgs, name: string): string {
  const index = gateways.findIndex(({ node }) => node === name);
  return index >= 0 ? `gateways[${index}]` : `clients[${clients.findIndex(({ node }) => node === name)}]`;
}

/** The registry of a gateway's fleet, as the first of its gateway nodes names it that is not written off. */
export function registryRefOf({ gateways }: EgressGatewayArgs): NodeRef["registry"] | undefined {
  return (gateways.find(({ node }) => !isAbandoned(node)) ?? gateways[0])?.registry;
}

/** What policies need to know of a gateway. */
export function refOf(
  args: EgressGatewayArgs,
  name: string,
  id: string,
  egressIPs: readonly string[],
  placement: Readonly<Record<string, string>>,
): GatewayRef {
  const ignore = minimalCover([...(args.gateways[0]?.ignore ?? []), ...(args.extraIgnore ?? [])]);
  return { id, name, fleet: fleetOf(args), egressIPs, placement, ignore, ...compactNodes(nodesOf(args)) };
}
