import type { Problem } from "../args";
import { type At, at, number } from "../at";

/** The kernel's own routing tables: unspec, compat, default, main, local. */
const RESERVED = [0, 252, 253, 254, 255];
const LAST = 2 ** 32 - 1;

/** The range of routing tables holds none of the kernel's own and ends where tables end. */
export function tablesRule(tables: At): Problem[] {
  const start = number(at(tables, "start")) ?? (isAbsent(at(tables, "start")) ? 3000 : undefined);
  const count = number(at(tables, "count")) ?? (isAbsent(at(tables, "count")) ? 100 : undefined);
  if (start === undefined || count === undefined) return [];
  const end = start + count - 1;
  const reserved = RESERVED.find((table) => table >= start && table <= end);
  if (reserved !== undefined) {
    return [
      {
        path: tables.path,
        message: `Tables ${start} to ${end} hold table ${reserved}, which the kernel keeps for itself. Start at 256 or above.`,
      },
    ];
  }
  if (start > LAST || end <= LAST) return [];
  return [
    {
      path: tables.path,
      message: `Tables ${start} to ${end} go beyond the last table, ${LAST}. Start lower or count fewer.`,
    },
  ];
}

function isAbsent(place: At): boolean {
  return place.value === undefined;
}
