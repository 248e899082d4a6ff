import { isAbandoned } from "./abandon";
import { knownSessions } from "./context";
import type { NodeSession } from "./session";

/**
 * Nodes of this run that have a claim of this owner though it is not to be there (`names`: where it is): left by an update
 * that failed and was taken back, by a create that was killed, or by a replacement that the engine forces and that moves.
 */
export function straysOf(ownerId: string, names: ReadonlySet<string>): NodeSession[] {
  return knownSessions().filter(({ seen, name }) => {
    if (isAbandoned(name) || !seen?.claims.some(({ owner }) => owner.id === ownerId)) return false;
    // A machine may be known by another name as well: as that of the registry.
    const enrolled = seen.claims.find((claim) => claim.kind === "node");
    return !names.has(enrolled?.kind === "node" ? enrolled.node : name);
  });
}
