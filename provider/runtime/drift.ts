import type { Claim } from "../model/claim";
import { type Difference, describe, diff } from "../reconcile/diff";
import { fileDrift } from "./files";
import { canonical } from "./result";
import type { NodeSession } from "./session";
import { compiledOn, type Snapshot } from "./snapshot";

/** Node → one line a difference. Empty when the kernel shows what we want, and the files of ours are as they were left. */
export type Drift = Readonly<Record<string, readonly string[]>>;

const MOST_LINES = 200;

/**
 * What differs on one node for one owner: its claim is put in place of what the manifest says, the rest of the manifest stays.
 * `claim` undefined = this owner wants nothing here any more.
 */
export function driftOf(snapshot: Snapshot, ownerId: string, claim: Claim | undefined): string[] {
  const recorded = claimsById(snapshot).get(ownerId);
  const isRecorded = recorded !== undefined && claim !== undefined && contentOf(recorded) === contentOf(claim);
  const found = isRecorded
    ? recordedDrift(snapshot)
    : differences(snapshot, [...without(snapshot, ownerId), ...(claim ? [claim] : [])]);
  const manifest =
    isRecorded || (!recorded && !claim) ? [] : [`${recorded ? "changed" : "missing"}  manifest entry of this resource`];
  // Where the enrolment itself is lost, the files go with it.
  const files = recorded && claim?.kind === "node" ? fileDrift(snapshot) : [];
  const lines = [...manifest, ...files, ...found.filter(({ owner }) => owner === ownerId).map(describe)];
  return lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES), `… and ${lines.length - MOST_LINES} more`] : lines;
}

const byId = new WeakMap<Snapshot, ReadonlyMap<string, Claim>>();

function claimsById(snapshot: Snapshot): ReadonlyMap<string, Claim> {
  const found = byId.get(snapshot) ?? new Map(snapshot.claims.map((claim) => [claim.owner.id, claim]));
  byId.set(snapshot, found);
  return found;
}

const without = (snapshot: Snapshot, ownerId: string): Claim[] =>
  snapshot.claims.filter(({ owner }) => owner.id !== ownerId);

const contents = new WeakMap<Claim, string>();

/** A claim without who makes it: renames are no drift. */
function contentOf(claim: Claim): string {
  const content = contents.get(claim) ?? canonical({ ...claim, owner: undefined });
  contents.set(claim, content);
  return content;
}

const ofManifest = new WeakMap<Snapshot, Difference[]>();

/** The node against its whole manifest, compared once for all owners. */
function recordedDrift(snapshot: Snapshot): Difference[] {
  if (snapshot.isAsRecorded) return [];
  const found = ofManifest.get(snapshot) ?? differences(snapshot, snapshot.claims);
  ofManifest.set(snapshot, found);
  return found;
}

function differences(snapshot: Snapshot, claims: readonly Claim[]): Difference[] {
  const nodeOwner = claims.find((claim) => claim.kind === "node")?.owner.id ?? "";
  return diff(compiledOn(snapshot, claims), snapshot.actual, nodeOwner);
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
  return Object.fromEntries(entries.filter(([, lines]) => lines.length > 0).sort(byName));
}

/** Several drifts as one: what all say of a node, in this order. */
export function joined(...drifts: readonly Drift[]): Drift {
  const nodes = [...new Set(drifts.flatMap((drift) => Object.keys(drift)))].sort();
  return Object.fromEntries(nodes.map((node) => [node, drifts.flatMap((drift) => drift[node] ?? [])]));
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

export const isClean = (drift: Drift): boolean => Object.keys(drift).length === 0;
