import { randomUUID } from "node:crypto";
import type { Claim, Owner } from "../model/claim";
import type { Snapshot } from "./snapshot";

/** Who a resource is, as its constructor says it. No URN reaches a dynamic provider. */
export interface Label {
  readonly project: string;
  readonly stack: string;
  readonly name: string;
}

/** For sentences: `project/stack/name`. */
export const labelText = ({ project, stack, name }: Label): string => `${project}/${stack}/${name}`;

export const newOwnerId = (kind: Claim["kind"]): string => `${kind}-${randomUUID()}`;

/** A claim of this label that is already on a node: left by a create that was killed, or by a state that was lost. It is adopted. */
export function adoptByLabel(kind: Claim["kind"], label: Label, snapshots: readonly Snapshot[]): Owner | undefined {
  for (const { claims } of snapshots) {
    const found = claims.find((claim) => claim.kind === kind && labelText(claim.owner) === labelText(label));
    if (found) {
      console.warn(`${kind} ${labelText(label)}: adopts what an earlier run left on the nodes (${found.owner.id})`);
      return found.owner;
    }
  }
  return undefined;
}
