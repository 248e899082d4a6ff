import { createHash } from "node:crypto";

/** Routing tables that the kernel keeps for itself: unspec, compat, default, main, local (linux/rtnetlink.h). */
const RESERVED: ReadonlySet<number> = new Set([0, 252, 253, 254, 255]);

/**
 * Seed 002's table algorithm: start in [start, start + count) at a place that follows from `seed`, go up in a circle
 * to the first table that nothing uses on this node. The start is a hash, so the same node and leg find the same table again.
 * @throws Error naming the range if none is free.
 */
export function chooseTable(range: { start: number; count: number }, seed: string, used: ReadonlySet<number>): number {
  const offset = createHash("sha256").update(seed).digest().readUInt32BE(0) % range.count;
  for (let i = 0; i < range.count; i++) {
    const table = range.start + ((offset + i) % range.count);
    if (!RESERVED.has(table) && !used.has(table)) return table;
  }
  throw new Error(
    `no free routing table in [${range.start}, ${range.start + range.count}): ${range.count} of ${range.count} are in use. Raise fleet.tables.count or move fleet.tables.start.`,
  );
}

/** How many tables of a range are left. */
export function countFree(range: { start: number; count: number }, used: ReadonlySet<number>): number {
  const taken = new Set([...RESERVED, ...used]);
  return range.count - [...taken].filter((table) => isOneOf(range, table)).length;
}

/** Whether a table is in a fleet's range. */
export const isOneOf = ({ start, count }: { start: number; count: number }, table: number | undefined): boolean =>
  table !== undefined && table >= start && table < start + count;
