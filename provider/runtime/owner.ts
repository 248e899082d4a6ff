import { randomUUID } from "node:crypto";
import type { Problem } from "../model/args";
import type { Claim } from "../model/claim";
import { knownSessions } from "./context";
import { type Label, labelText } from "./label";
import type { Looked } from "./look";
import { untilQuiet } from "./quiet";
import type { Properties } from "./result";
import { memory } from "./run-memory";
import type { Snapshot } from "./snapshot";

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

/** The resource of this run that has this id, where it is not the one of this label: nodes may know it by a former name still. */
const otherWith = (id: string, label: Label): string | undefined => {
  const live = memory.live.get(id);
  return live && live.label !== labelText(label) ? live.label : undefined;
};

/**
 * Notes where the program has a resource. One that was renamed, while another one took up its name, may find its id adopted;
 * a second one of the same type and name, under another parent, can't be told from it where it is new (no state) or has its id.
 * One that is replaced is checked twice, as the same instance. `had`: the nodes on which state has it.
 */
export function noteLive(
  id: string,
  label: Label,
  nodes: readonly string[],
  found: { readonly instance: string | undefined; readonly isNew: boolean; readonly had: ReadonlySet<string> },
): Problem[] {
  const { instance, isNew, had } = found;
  const other = otherWith(id, label);
  const name = `${typeOf(id)} ${labelText(label)}`;
  const twins = [memory.live.get(id), isNew ? memory.names.get(name) : undefined];
  if (other === undefined && twins.every((twin) => !twin || twin.instance === instance)) {
    memory.live.set(id, { label: labelText(label), nodes: new Set(nodes), had, instance });
    memory.names.set(name, { instance });
    return [];
  }
  const message =
    other === undefined
      ? `two resources of this program are ${labelText(label)}, and the nodes can't tell them apart. Give one another name: names are unique among all of a type in a stack, whatever their parents.`
      : `the nodes know ${labelText(label)} by its former name, which ${other} of this program has now. Give that one another name, or declare it after an up that changes ${labelText(label)}.`;
  return [{ path: "label", message }];
}

/** Owner ids begin with the kind of their claim. */
const typeOf = (id: string): string => id.split("-")[0] ?? "";

/** The nodes on which a resource that the engine deletes stays nevertheless: replaced by force, it was found again under its id. */
export const nodesThatStay = (id: string): ReadonlySet<string> | undefined => memory.live.get(id)?.nodes;

/**
 * Those of these claims that still stand in the way of what they are on. What this run deletes, or has on another gateway,
 * and is here nevertheless, an update that was killed left, or one that failed: who finds it takes it along.
 */
export async function inUse<C extends Claim>(claims: readonly C[]): Promise<C[]> {
  // The engine deletes side by side what does not depend on each other, and a gateway after its policies.
  if (claims.length > 0) await untilQuiet();
  return claims.filter((claim) => !memory.deleted.has(claim.owner.id) && !isElsewhere(claim));
}

/** A policy that is on a gateway which it neither has in this run nor had before. */
export function isElsewhere(claim: Claim): boolean {
  const policy = memory.policies.get(claim.owner.id);
  // One that failed may never come to where it is to be.
  if (claim.kind !== "policy" || policy === undefined || memory.notTaken.has(`policy ${policy.label}`)) return false;
  return ![policy.gateway, policy.formerly].includes(claim.gateway);
}

/** A claim of this label that is already on a node: left by a create that was killed, or by a state that was lost. It is adopted. */
export function adoptByLabel<K extends Claim["kind"]>(
  kind: K,
  label: Label,
  snapshots: readonly Snapshot[],
): Extract<Claim, { kind: K }> | undefined {
  const isMine = (claim: Claim): claim is Extract<Claim, { kind: K }> =>
    claim.kind === kind && labelText(claim.owner) === labelText(label) && !otherWith(claim.owner.id, label);
  const found = snapshots.flatMap(({ claims }) => claims).find(isMine);
  if (found)
    console.warn(`${kind} ${labelText(label)}: adopts what an earlier run left on the nodes (${found.owner.id})`);
  return found;
}

/** The owner id of a create that was killed after it had claimed in the fleet's registry, before it came to any node of this run. It goes on. */
export function adoptFromRegistry(
  kind: Claim["kind"],
  holder: string,
  label: Label,
  { snapshot }: Looked,
  fleet: string,
): string | undefined {
  const entries = snapshot?.registry.get(fleet) ?? [];
  const isOnNode = (id: string) =>
    knownSessions().some(({ seen }) => seen?.claims.some(({ owner }) => owner.id === id));
  const found = entries.find(
    (entry) =>
      entry.holder === holder &&
      typeOf(entry.owner) === kind &&
      !otherWith(entry.owner, label) &&
      !isOnNode(entry.owner),
  );
  return found?.owner;
}
