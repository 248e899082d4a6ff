import { requirePlain } from "../compile/plain-claims";
import { lines } from "../kernel/kind";
import type { Claim } from "../model/claim";
import { isClaim } from "../model/claim-shape";

/** What the claim files of a node hold. */
export interface NodeClaims {
  readonly claims: readonly Claim[];
  /** Owner ids by which files are named that don't hold that owner's claim: cut off, of another form, another's. */
  readonly misread: readonly string[];
}

/** Reads a line a file: the owner id by which it is named, a space, its text. What can't be read is as good as lost. */
export function parseClaims(text: string): NodeClaims {
  const files = lines(text).map((line) => {
    const [, id = "", json = ""] = /^(\S+) ?(.*)$/s.exec(line) ?? [];
    return { id, claim: claimIn(json, id) };
  });
  return {
    claims: files.flatMap(({ claim }) => claim ?? []),
    misread: files.flatMap(({ id, claim }) => (claim ? [] : [id])),
  };
}

function claimIn(json: string, id: string): Claim | undefined {
  try {
    const claim: unknown = JSON.parse(json);
    if (!isClaim(claim) || claim.owner.id !== id) return undefined;
    requirePlain(claim);
    return claim;
  } catch {
    return undefined;
  }
}
