import type { FleetArgs } from "../model/args";
import type { RegistryEntry } from "../program/registry";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import type { Drift } from "./drift";
import { isSameMachine } from "./former-registry";
import { look } from "./look";
import { isOwnStack } from "./owner";
import type { NodeSession } from "./session";
import { machineOf } from "./strays";

type Registry = FleetArgs["registry"];

/** What an owner is to hold in its fleet's registry, and no more. */
export interface Holding {
  /** Undefined: not known. */
  readonly registry: Registry | undefined;
  readonly fleet: string;
  readonly owner: string;
  /** What the registry is to call it; after a rename that waits for the next update. */
  readonly holder: string;
  /** Key → who is to hold it: the owner, but for the fleet's settings. */
  readonly keys: ReadonlyMap<string, string>;
}

/** One line a difference; node → lines, as in any drift. A registry that is not known is not judged, see `unknownRegistry`. */
export async function entryDrift(holding: Holding): Promise<Drift> {
  const { registry, fleet } = holding;
  const entries = await entriesOf(holding);
  if (!registry || !entries) return {};
  const nameOf = (key: string): string => entryName(key, fleet, registry.node);
  const lost = lostKeys(holding, entries).map((key) => {
    const holder = entries.get(key)?.holder;
    return holder === undefined ? `missing  ${nameOf(key)}` : `changed  ${nameOf(key)} is held by ${holder}`;
  });
  const lines = [...lost, ...extraKeys(holding, entries).map((key) => `extra    ${nameOf(key)}`)];
  return lines.length === 0 ? {} : { [registry.node]: lines };
}

const entryName = (key: string, fleet: string, node: string): string =>
  `registry entry ${key} of fleet "${fleet}" on node ${node}`;

/** Whether something has to be claimed anew. */
export async function isLost(holding: Holding): Promise<boolean> {
  const entries = await entriesOf(holding);
  if (!entries) return false;
  const isRenamed = [...entries.values()].some(
    ({ owner, holder }) => owner === holding.owner && holder !== holding.holder,
  );
  return isRenamed || lostKeys(holding, entries).length > 0;
}

/** Whether the owner holds more: what it had before, or what a run claimed that was killed then. */
export async function hasExtra(holding: Holding): Promise<boolean> {
  const entries = await entriesOf(holding);
  return entries !== undefined && extraKeys(holding, entries).length > 0;
}

const lostKeys = ({ keys }: Holding, entries: ReadonlyMap<string, RegistryEntry>): string[] =>
  [...keys].flatMap(([key, owner]) => (entries.get(key)?.owner === owner ? [] : [key]));

const extraKeys = ({ keys, owner }: Holding, entries: ReadonlyMap<string, RegistryEntry>): string[] =>
  [...entries.values()].flatMap((entry) => (entry.owner === owner && !keys.has(entry.key) ? [entry.key] : []));

/** All that the owner holds, wanted or not. */
export async function heldKeys(holding: Holding): Promise<string[]> {
  const entries = [...((await entriesOf(holding))?.values() ?? [])];
  return entries.flatMap(({ key, owner }) => (owner === holding.owner ? [key] : []));
}

/** Undefined where it can't be reached or is written off: whether an entry is there is not known then. */
async function entriesOf({ registry, fleet }: Holding): Promise<ReadonlyMap<string, RegistryEntry> | undefined> {
  if (!registry || isAbandoned(registry.node)) return undefined;
  const { snapshot } = await look(session(registry.node, registry.connection));
  return snapshot && new Map((snapshot.registry.get(fleet) ?? []).map((entry) => [entry.key, entry]));
}

/** That a fleet's registry can't be read: for the one resource of a run that speaks for it. Nothing is done about it in `up`. */
export async function unknownRegistry({ node, connection }: Registry, fleet: string): Promise<Drift> {
  if (isAbandoned(node)) return {};
  const { error } = await look(session(node, connection));
  return error ? { [node]: [`unknown  registry of fleet "${fleet}": ${error.message}`] } : {};
}

/**
 * What this stack holds on a node that does not keep the fleet's registry: a run that named another one was killed, or
 * taken back. Nothing where the registry is not known: it may be the same machine by another name.
 */
async function strayEntries({ registry, fleet }: Holding, here: NodeSession): Promise<RegistryEntry[]> {
  const own = (here.seen?.registry.get(fleet) ?? []).filter(
    ({ key, holder }) => key !== "settings" && isOwnStack(holder),
  );
  const isEnrolled = here.seen?.claims.some(({ kind }) => kind === "node");
  if (own.length === 0 || !isEnrolled || !registry || isAbandoned(registry.node) || isSameMachine(registry, here))
    return [];
  const right = session(registry.node, registry.connection);
  const { snapshot } = await look(right);
  return snapshot && machineOf(right) !== machineOf(here) ? own : [];
}

export async function strayDrift(holding: Holding, here: NodeSession): Promise<Drift> {
  const lines = (await strayEntries(holding, here)).map(
    ({ key }) => `extra    ${entryName(key, holding.fleet, here.name)}`,
  );
  return lines.length === 0 ? {} : { [here.name]: lines };
}

/** Lets go of all that is held there. */
export async function releaseStrays(holding: Holding, here: NodeSession): Promise<void> {
  const owners = new Set((await strayEntries(holding, here)).map(({ owner }) => owner));
  for (const owner of owners) await here.release(holding.fleet, owner);
}
