import { plan } from "../../provider/reconcile/plan";
import { Kernel } from "../../test/bpf/kernel";
import { atEnd } from "../cleanup";
import { megahertz } from "../machine";
import { say } from "../progress";
import type { Figures, PartResult, Row } from "../result";
import { median, pairedRatios, summarize } from "../statistics";
import { type Case, cases, loadAll, NOTHING, prepare } from "./cases";
import { bareClaims, claimsOf, compiled, objectsOf } from "./claims";
import { Loaded } from "./loaded";
import { linesOf, programming, programmingFigures, programmingProblems } from "./programming";
import { TestRunner } from "./test-runs";
import { compiledTool } from "./tool";

const SIZES = [1, 100, 10_000, 100_000];
const scales = { full: { rounds: 15, runs: 3000 }, quick: { rounds: 5, runs: 1000 } };

/** Case → entries → nanoseconds in each round, without the timer's. */
type Measured = Readonly<Record<string, Readonly<Record<number, readonly number[]>>>>;

/** What each program costs a packet, by the number of policies' entries; and how long entries take to be written. */
export async function entries(isQuick: boolean): Promise<PartResult> {
  const scale = isQuick ? scales.quick : scales.full;
  const tool = await compiledTool("test-run");
  const kernel = Kernel.start();
  atEnd(() => kernel.stop());
  prepare(kernel);
  const all = cases();
  const measured = measure(
    all,
    new Map(SIZES.map((size) => [size, loadedWith(kernel, size)])),
    new TestRunner(kernel, tool),
    scale,
  );
  say("entries: programming");
  const programmed = programming(kernel);
  return {
    title: "entries: time of a packet in the programs with many entries of policies, against one entry (≤ 1.5)",
    rows: growthRows(all, measured),
    figures: [caseFigures(all, measured, megahertz()), programmingFigures(programmed)],
    facts: [
      `Single runs by BPF_PROG_TEST_RUN, each with its packet as it was: the mean of the middle 80 % of ${scale.runs} in each of ${scale.rounds} rounds, less the timer's own time in that round; the medians of the rounds.`,
      "A redirect ends a test run, so what the kernel then does to send the packet is not in it.",
      `Changing 100 of 100,000 entries writes ${programmed.writes}.`,
    ],
    problems: programmingProblems(programmed),
    raw: { scale, measured, programmed },
  };
}

function loadedWith(kernel: Kernel, size: number): Loaded {
  say(`entries: ${size}`);
  const loaded = new Loaded(kernel, `entries-${size}`);
  atEnd(() => loaded.remove());
  const bare = objectsOf(compiled(bareClaims()));
  const base = [...plan(bare, []), ...plan(objectsOf(compiled(bareClaims("gateway-1"))), [])];
  loaded.makeMaps();
  loaded.fill(base);
  const steps = plan(objectsOf(compiled(claimsOf(size))), bare);
  if (linesOf(steps).length !== size) throw new Error(`${linesOf(steps).length} entries, not ${size}`);
  loaded.fill(steps);
  loadAll(kernel, loaded);
  return loaded;
}

function measure(
  all: readonly Case[],
  nodes: ReadonlyMap<number, Loaded>,
  runner: TestRunner,
  { rounds, runs }: { readonly rounds: number; readonly runs: number },
): Measured {
  const measured: Record<string, Record<number, number[]>> = {};
  for (let round = 1; round <= rounds; round++) {
    say(`entries: test runs, round ${round} of ${rounds}`);
    const timer = timerOf(all, nodes, runner, runs);
    for (const one of all)
      for (const [size, loaded] of nodes) {
        const former = measured[one.name] ?? {};
        const time = runner.run(one, loaded, size, runs).middle - timer;
        const times = [...(former[size] ?? []), time];
        measured[one.name] = { ...former, [size]: times };
      }
  }
  return measured;
}

function timerOf(all: readonly Case[], nodes: ReadonlyMap<number, Loaded>, runner: TestRunner, runs: number): number {
  const nothing = all.find(({ name }) => name === NOTHING);
  const [first] = nodes.values();
  if (!nothing || !first) throw new Error("there is nothing to hold the timer against");
  return runner.timer(nothing, first, runs);
}

const timesOf = (measured: Measured, name: string, size: number): readonly number[] => measured[name]?.[size] ?? [];

function growthRows(all: readonly Case[], measured: Measured): Row[] {
  const [least = 1, ...sizes] = SIZES;
  return all.flatMap(({ name, bound }) =>
    bound === undefined
      ? []
      : sizes.map((size) => ({
          what: `${name}: ${size} / ${least}`,
          ratio: summarize(pairedRatios(timesOf(measured, name, size), timesOf(measured, name, least))),
          bound,
        })),
  );
}

/** `megahertz`: of the cores, for cycles; 0 = not known. */
function caseFigures(all: readonly Case[], measured: Measured, megahertz: number): Figures {
  const time = (name: string, size: number): number => median(timesOf(measured, name, size));
  return {
    title: `ns a packet, by entries${megahertz > 0 ? `; cycles at ${megahertz} MHz with one` : ""}`,
    heads: ["", ...SIZES.map(String), ...(megahertz > 0 ? ["cycles"] : [])],
    rows: all.map(({ name }) => [
      name,
      ...SIZES.map((size) => time(name, size).toFixed(0)),
      ...(megahertz > 0 ? [((time(name, SIZES[0] ?? 1) * megahertz) / 1000).toFixed(0)] : []),
    ]),
  };
}
