import { compileNode } from "../compile/node";
import type { Claim } from "../model/claim";
import { describe, diff } from "../reconcile/diff";
import type { NodeSession } from "./session";
import type { Snapshot } from "./snapshot";

/** Node → one line a difference. Empty when the kernel shows what we want. */
export type Drift = Readonly<Record<string, readonly string[]>>;

const MOST_LINES = 200;

/**
 * What differs on one node for one owner: its claim is put in place of what the manifest says, the rest of the manifest stays.
 * `claim` undefined = this owner wants nothing here any more.
 */
export function driftOf(snapshot: Snapshot, ownerId: string, claim: Claim | undefined): string[] {
  const others = snapshot.claims.filter((other) => other.owner.id !== ownerId);
  const claims = claim ? [...others, claim] : others;
  const nodeOwner = claims.find((other) => other.kind === "node")?.owner.id ?? ownerId;
  const facts = { tables: snapshot.node?.tables ?? {}, dropPolicies: snapshot.host.dropPolicies };
  const found = diff(compileNode(claims, facts), snapshot.actual, nodeOwner).filter(({ owner }) => owner === ownerId);
  const recorded = snapshot.claims.find((other) => other.owner.id === ownerId);
  const manifest = recorded ? [] : ["missing  manifest entry of this resource"];
  const lines = [...manifest, ...found.map(describe)];
  return lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES), `… and ${lines.length - MOST_LINES} more`] : lines;
}

/** Drift on several nodes at once. A node that can't be reached is an entry, never silence. */
export async function driftOn(
  nodes: readonly { readonly session: NodeSession; readonly ownerId: string; readonly claim: Claim | undefined }[],
): Promise<Drift> {
  const entries = await Promise.all(
    nodes.map(async ({ session, ownerId, claim }): Promise<[string, string[]]> => {
      try {
        return [session.name, driftOf(await session.snapshot(), ownerId, claim)];
      } catch (error) {
        return [session.name, [`unknown  ${(error as Error).message}`]];
      }
    }),
  );
  return Object.fromEntries(entries.filter(([, lines]) => lines.length > 0).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export const isClean = (drift: Drift): boolean => Object.keys(drift).length === 0;
