import type { Machine } from "./machine";
import type { Figures, PartResult, Row } from "./result";
import type { Summary } from "./statistics";

const heads = ["", "ratio", "95 % interval", "rounds", "what bounds it"];

/** The results as a person reads them. Pure. */
export function printed(machine: Machine, parts: readonly PartResult[], notes: readonly string[]): string {
  return [...headOf(machine), ...notes.map((note) => `! ${note}`), ...parts.flatMap(partLines), ""].join("\n");
}

function headOf({ date, cores, cpu, memoryGB, kernel, system, load, versions }: Machine): string[] {
  const tools = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${date}, ${cores} cores (${cpu}), ${memoryGB} GB, kernel ${kernel}, ${system}, load ${load} at the start`,
    tools.join(", "),
  ];
}

function partLines({ title, rows, figures = [], facts, problems }: PartResult): string[] {
  return [
    "",
    title,
    ...(rows.length > 0 ? tableLines([heads, ...rows.map(cellsOf)]) : []),
    ...figures.flatMap(figureLines),
    ...facts.map((fact) => `  ${fact}`),
    ...problems.map((problem) => `! ${problem}`),
  ];
}

const figureLines = ({ title, heads, rows }: Figures): string[] => [`  ${title}`, ...tableLines([heads, ...rows])];

const cellsOf = ({ what, ratio, bound }: Row): string[] => [
  what,
  number(ratio.median),
  intervalOf(ratio),
  String(ratio.count),
  bound,
];

const intervalOf = ({ interval }: Summary): string =>
  interval ? `${number(interval[0])} to ${number(interval[1])}` : "too few rounds";

/** Two digits that say something, whatever the size. */
function number(value: number): string {
  if (Number.isNaN(value)) return "none";
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `  ${row.map((cell, column) => (column === 0 || column === row.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join("   ")}`.trimEnd();
  return rows.map(line);
}
