import type { FleetArgs } from "../model/args";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import type { Drift } from "./drift";
import { look } from "./look";

/**
 * What an owner holds and its fleet's registry does not say, one line for each key; node → lines, as in any drift.
 * `settings` has no owner: there it counts that there are some. A registry that can't be reached, or that is written off,
 * is not judged: whether an entry is there is not known, and the node itself says that it is unreachable.
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
