import type { FleetArgs } from "../model/args";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import type { NodeSession } from "./session";
import type { Snapshot } from "./snapshot";

/** A node as seen, or why it could not be seen. */
export interface Looked {
  readonly snapshot?: Snapshot;
  readonly error?: Error;
}

export async function look(node: NodeSession): Promise<Looked> {
  try {
    return { snapshot: await node.snapshot() };
  } catch (error) {
    return { error: error as Error };
  }
}

/** The node of a fleet's registry; nothing new can be claimed where that is written off. */
export async function lookAtRegistry(registry: FleetArgs["registry"] | undefined): Promise<Looked> {
  if (!registry) return {};
  return isAbandoned(registry.node)
    ? { error: new Error(`node ${registry.node}: written off in egress:abandon. Name another fleet.registry`) }
    : look(session(registry.node, registry.connection));
}

/** Several nodes at once, by name. */
export async function lookAll(nodes: readonly NodeSession[]): Promise<ReadonlyMap<string, Looked>> {
  return new Map(
    await Promise.all(nodes.map(async (node): Promise<[string, Looked]> => [node.name, await look(node)])),
  );
}

/** True if one of the nodes has a claim of this owner already. */
export async function isKnown(nodes: readonly NodeSession[], ownerId: string): Promise<boolean> {
  const looked = [...(await lookAll(nodes)).values()];
  return looked.some(({ snapshot }) => snapshot?.claims.some(({ owner }) => owner.id === ownerId));
}
