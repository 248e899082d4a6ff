import type { NodeMarkArgs } from "../model/args";
import { UNKNOWN } from "../model/args";
import type { Claim } from "../model/claim";
import { type CompactNodes, expandNodes } from "../model/compact-nodes";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import { look, lookAll } from "./look";
import { isUnknown } from "./result";

/** The engine checks one by one: the first check sets out to all nodes of the fleet, so that the others find them read. */
export function startProbes(hint: CompactNodes): void {
  for (const { node, connection } of expandNodes(hint)) void look(session(node, connection));
}

/** What nodes that are read anyway know of others: a registry that was lost does not know all marks. */
export async function claimsSeen(args: NodeMarkArgs, hint: CompactNodes | undefined): Promise<Claim[]> {
  const others = hint && !isUnknown(hint, UNKNOWN) ? expandNodes(hint) : [];
  const nodes = [args.fleet.registry, ...others].filter(({ node }) => !isAbandoned(node));
  const looked = await lookAll(nodes.map(({ node, connection }) => session(node, connection)));
  return [...looked.values()].flatMap(({ snapshot }) => snapshot?.claims ?? []);
}
