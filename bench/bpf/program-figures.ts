import type { Figures } from "../result";
import type { ProgramRun } from "./program-runs";

/** Nanoseconds a run of each program, by what went on meanwhile. `megahertz`: of the cores, for cycles; 0 = not known. */
export function programFigures(runs: Readonly<Record<string, readonly ProgramRun[]>>, megahertz: number): Figures {
  const kinds = Object.keys(runs);
  const all = Object.values(runs).flat();
  const keys = [...new Set(all.map(keyOf))].sort();
  const cell = (kind: string, key: string): string => {
    const found = runs[kind]?.find((one) => keyOf(one) === key);
    if (!found || found.runs < LEAST) return "";
    const each = found.nanoseconds / found.runs;
    return `${Math.round(each)}${megahertz > 0 ? ` (${Math.round((each * megahertz) / 1000)})` : ""}`;
  };
  return {
    title: `ns${megahertz > 0 ? ` (cycles at ${megahertz} MHz)` : ""} a run of each program, with the kernel's counter on, which adds some 20 ns`,
    heads: ["", ...kinds],
    rows: keys
      .map((key) => [key, ...kinds.map((kind) => cell(kind, key))])
      .filter((row) => row.slice(1).some((text) => text !== "")),
  };
}

/** Fewer runs are what begins and ends, and say little. */
const LEAST = 500;
const keyOf = ({ node, program }: ProgramRun): string => `${node} ${program}`;
