import type { Dump } from "./dump";

export interface SectionDiff {
  readonly section: string;
  readonly missing: readonly string[];
  readonly extra: readonly string[];
  /** The lines are the same and stand in another order. */
  readonly reordered: boolean;
}

/** What differs between a dump and the one that it should equal, by section; empty when nothing does. */
export function diffDumps(expected: Dump, actual: Dump): SectionDiff[] {
  return [...new Set([...expected.keys(), ...actual.keys()])].flatMap((section) => {
    const before = expected.get(section) ?? [];
    const now = actual.get(section) ?? [];
    if (before.join("\n") === now.join("\n")) return [];
    const missing = without(before, now);
    const extra = without(now, before);
    return [{ section, missing, extra, reordered: missing.length === 0 && extra.length === 0 }];
  });
}

export function printDiff(diffs: readonly SectionDiff[]): string {
  return diffs
    .flatMap(({ section, missing, extra, reordered }) => [
      `${section}:${reordered ? " in another order" : ""}`,
      ...missing.map((line) => `  - ${line}`),
      ...extra.map((line) => `  + ${line}`),
    ])
    .join("\n");
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const count = left.get(line) ?? 0;
    left.set(line, count - 1);
    return count <= 0;
  });
}
