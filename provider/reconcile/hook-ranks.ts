import type { Hook } from "../kernel/iptables";
import type { KernelObject } from "../kernel/state";

/**
 * The actual hooks with their rank among those that are wanted: where one is missing or stands twice,
 * those behind it are not out of place.
 */
export function withWantedRanks(desired: readonly KernelObject[], actual: readonly KernelObject[]): KernelObject[] {
  const ranks = new Map<Hook, number>();
  const wanted = byPlace(desired);
  for (const [place, there] of byPlace(actual)) {
    for (const [one, found] of inOrder(wanted.get(place) ?? [], there)) ranks.set(found, one.rank);
  }
  return actual.map((object) => {
    const rank = object.kind === "hook" ? ranks.get(object) : undefined;
    return object.kind === "hook" && rank !== undefined ? { ...object, rank } : object;
  });
}

function byPlace(objects: readonly KernelObject[]): Map<string, Hook[]> {
  const places = new Map<string, Hook[]>();
  for (const object of objects) {
    if (object.kind !== "hook") continue;
    const key = `${object.table} ${object.chain} ${object.place}`;
    places.set(
      key,
      [...(places.get(key) ?? []), object].sort((a, b) => a.rank - b.rank),
    );
  }
  return places;
}

/** The longest part that both have in the same order, in pairs; of what stands twice the last. */
function inOrder(wanted: readonly Hook[], there: readonly Hook[]): [Hook, Hook][] {
  const [one, found] = [wanted.at(-1), there.at(-1)];
  if (!one || !found) return [];
  if (one.rule === found.rule) return [...inOrder(wanted.slice(0, -1), there.slice(0, -1)), [one, found]];
  const without = inOrder(wanted, there.slice(0, -1));
  const less = inOrder(wanted.slice(0, -1), there);
  return less.length > without.length ? less : without;
}
