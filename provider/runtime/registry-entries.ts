import type { FleetArgs } from "../model/args";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import type { Drift } from "./drift";
import { look } from "./look";

/**
 * What an owner holds and its fleet's registry does not say, one line for each key; node → lines, as in any drift.
 * `settings` has no owner: there it counts that there are some. A registry that can't be reached, or that is written off,
 * is not judged: whether an entry is there is not known, which `unknownRegistry` says once.
 */
export async function lostEntries(
  { node, connection }: FleetArgs["registry"],
  fleet: string,
  owner: string,
  keys: readonly string[],
): Promise<Drift> {
  if (isAbandoned(node)) return {};
  const { snapshot } = await look(session(node, connection));
  if (!snapshot) return {};
  const entries = new Map((snapshot.registry.get(fleet) ?? []).map((entry) => [entry.key, entry]));
  const lines = keys.flatMap((key) => {
    const entry = entries.get(key);
    const name = `registry entry ${key} of fleet "${fleet}" on node ${node}`;
    if (!entry) return [`missing  ${name}`];
    return key === "settings" || entry.owner === owner ? [] : [`changed  ${name} is held by ${entry.holder}`];
  });
  return lines.length === 0 ? {} : { [node]: lines };
}

/** That a fleet's registry can't be read: for the one resource of a run that speaks for it. Nothing is done about it in `up`. */
export async function unknownRegistry({ node, connection }: FleetArgs["registry"], fleet: string): Promise<Drift> {
  if (isAbandoned(node)) return {};
  const { error } = await look(session(node, connection));
  return error ? { [node]: [`unknown  registry of fleet "${fleet}": ${error.message}`] } : {};
}
