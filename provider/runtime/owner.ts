import { randomUUID } from "node:crypto";
import type { Claim, Owner } from "../model/claim";
import type { Properties } from "./result";
import { memory } from "./run-memory";
import type { Snapshot } from "./snapshot";

/** Who a resource is, as its constructor says it. No URN reaches a dynamic provider. */
export interface Label {
  readonly project: string;
  readonly stack: string;
  readonly name: string;
}

/** For sentences: `project/stack/name`. */
export const labelText = ({ project, stack, name }: Label): string => `${project}/${stack}/${name}`;

/** What a resource remembers of its stack's former names; `pulumi stack rename` changes nothing on the nodes. */
export function formerNames(olds: Properties, { project, stack }: Label): { readonly formerly?: readonly string[] } {
  const before = olds as { readonly label?: Label; readonly formerly?: readonly string[] } | undefined;
  const name = `${project}/${stack}`;
  const last = before?.label ? [`${before.label.project}/${before.label.stack}`] : [];
  const former = [...new Set([...(before?.formerly ?? []), ...last])].filter((other) => other !== name).sort();
  for (const one of [name, ...former]) memory.stacks.add(one);
  return former.length > 0 ? { formerly: former } : {};
}

/** True for what begins with `project/stack/` of this very stack. */
export const isOwnStack = (holder: string): boolean =>
  [...memory.stacks].some((stack) => holder.startsWith(`${stack}/`));

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
