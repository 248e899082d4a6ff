import { availableParallelism } from "node:os";
import type { Row } from "../result";
import type { Rounds } from "../rounds";
import { median, pairedRatios, summarize } from "../statistics";
import type { Counts, NodeCounts } from "./counts";
import type { Cycle } from "./cycle";
import type { Size } from "./plan";
import type { Kind, Timed } from "./project";

type Values = Readonly<Record<Kind, readonly (number | undefined)[]>>;

export function cycleRows(cycles: readonly Cycle[]): Row[] {
  const row = (what: string, values: Values, bound: string): Row => ({
    what,
    ratio: summarize(pairedRatios(values.egress, values["no-op"])),
    bound,
  });
  const ups = cycles.map((cycle) => cycle.up.egress.busy.all);
  const nodes = `the nodes' own tools, all on ${availableParallelism()} cores: ${Math.round(median(ups) * 100)} % busy`;
  const engine = "the engine's start, and its check and diff one by one";
  return [
    row(
      "first preview",
      secondsOf(cycles, ({ firstPreview }) => firstPreview),
      engine,
    ),
    row(
      "up",
      ofEach(cycles, ({ up }) => up),
      nodes,
    ),
    row(
      "clean preview after up",
      secondsOf(cycles, ({ cleanPreview }) => cleanPreview),
      engine,
    ),
    row(
      "destroy",
      ofEach(cycles, ({ destroy }) => destroy),
      nodes,
    ),
  ];
}

export function factsOf(cycles: readonly Cycle[], counts: Counts, { policies }: Size): string[] {
  const clean = secondsOf(cycles, ({ cleanPreview }) => cleanPreview);
  const [ours = 0, nothing = 0] = [clean.egress, clean["no-op"]].map((seconds) =>
    median(seconds.flatMap((s) => s ?? [])),
  );
  const percent = (seconds: number): string => `${Math.round((100 * seconds) / ours)} %`;
  const bytes = cycles.map(({ stateBytes }) => stateBytes);
  return [
    `A clean preview: ${rangeOf(counts.preview, "roundTrips")} round trip a node, ${kilobytes(counts.preview, "bytesOut")} to it and ${kilobytes(counts.preview, "bytesIn")} from it.`,
    `up by the CLI: ${range(cycles.flatMap(({ batches }) => Object.values(batches)))} batches a node for ${policies} policies, as the engine starts them few at a time.`,
    `up of all at once, in process: ${rangeOf(counts.up, "roundTrips")} round trips a node, ${kilobytes(counts.up, "bytesOut")} to it and ${kilobytes(counts.up, "bytesIn")} from it.`,
    `Of a clean preview's time the resources that do nothing take ${percent(nothing)} too; the provider in process (reading all nodes, every check and diff) takes ${percent(counts.previewSeconds)}.`,
    `The state takes ${median(bytes.map((one) => one.egress / one["no-op"])).toFixed(1)} times that of resources that do nothing: ${(median(bytes.map(({ egress }) => egress)) / 1e6).toFixed(2)} MB.`,
  ];
}

/** What the README says and this run must bear out. */
export function problemsOf({ preview, changed }: Counts): string[] {
  const more = Object.entries(preview).filter(([, { roundTrips }]) => roundTrips !== 1);
  return [
    ...more.map(([node, { roundTrips }]) => `a clean preview cost ${roundTrips} round trips on ${node}, not 1`),
    ...(changed.length > 0
      ? [`a preview right after up would change ${changed.length}: ${changed.slice(0, 3).join(", ")}`]
      : []),
  ];
}

const ofEach = (cycles: readonly Cycle[], pick: (cycle: Cycle) => Readonly<Record<Kind, Timed>>): Values => ({
  egress: cycles.map((cycle) => pick(cycle).egress.seconds),
  "no-op": cycles.map((cycle) => pick(cycle)["no-op"].seconds),
});

const secondsOf = (cycles: readonly Cycle[], pick: (cycle: Cycle) => Rounds<Kind, Timed>): Values => ({
  egress: cycles.flatMap((cycle) => pick(cycle).egress.map((one) => one?.seconds)),
  "no-op": cycles.flatMap((cycle) => pick(cycle)["no-op"].map((one) => one?.seconds)),
});

const rangeOf = (counts: NodeCounts, key: "roundTrips" | "bytesIn" | "bytesOut"): string =>
  range(Object.values(counts).map((one) => one[key]));

const kilobytes = (counts: NodeCounts, key: "bytesIn" | "bytesOut"): string =>
  `${range(Object.values(counts).map((one) => Math.round(one[key] / 1000)))} kB`;

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? `${least}` : `${least} to ${most}`;
}
