import { isAbandoned } from "./abandon";
import { knownSessions } from "./context";
import { memory } from "./run-memory";
import type { NodeSession } from "./session";

/**
 * Nodes of this run that have a claim of this owner though it is not to be there (`names`: where it is): left by an update
 * that failed and was taken back, by a create that was killed, or by a replacement that the engine forces and that moves.
 */
export function straysOf(ownerId: string, names: ReadonlySet<string>): NodeSession[] {
  return knownSessions().filter(({ seen, name }) => {
    if (isAbandoned(name) || !seen?.claims.some(({ owner }) => owner.id === ownerId)) return false;
    return !names.has(machineOf({ seen, name }));
  });
}

/** A machine may be known by another name as well: as that of the registry. */
export function machineOf({ seen, name }: Pick<NodeSession, "seen" | "name">): string {
  const enrolled = seen?.claims.find((claim) => claim.kind === "node");
  return enrolled?.kind === "node" ? enrolled.node : name;
}

/**
 * Gateways and policies that a node has though neither this run nor state has them there: where the engine comes to the node
 * only after these, they could not see it, and its NodeMark takes them off. Not where something failed: what they select may
 * be wanted.
 */
export const unwantedOn = ({ seen, name }: NodeSession): string[] =>
  memory.notTaken.size > 0
    ? []
    : (seen?.claims ?? []).flatMap(({ owner: { id } }) => {
        const live = memory.live.get(id);
        return !live || live.nodes.has(name) || live.had.has(name) ? [] : id;
      });
