import { diff } from "../../provider/reconcile/diff";
import { plan } from "../../provider/reconcile/plan";
import type { Step } from "../../provider/reconcile/step";
import type { Kernel } from "../../test/bpf/kernel";
import type { Figures } from "../result";
import { median } from "../statistics";
import { bareClaims, claimsOf, compiled, objectsOf } from "./claims";
import { Loaded } from "./loaded";

const ENTRIES = 100_000;
const CHANGED = 100;
const TIMES = 3;

export interface Programming {
  /** Seconds of each stage. */
  readonly stages: Readonly<Record<string, number>>;
  /** Writes into maps of policies for the change. */
  readonly writes: number;
}

/** From nothing to so many entries, and a change of some: what each stage takes, and what the change writes. */
export function programming(kernel: Kernel): Programming {
  const stages: Record<string, number> = {};
  const timed = <T>(stage: string, act: () => T): T => {
    const began = performance.now();
    const result = act();
    stages[stage] = (performance.now() - began) / 1000;
    return result;
  };
  const empty = compiled(bareClaims());
  const all = timed("compile", () => compiled(claimsOf(ENTRIES)));
  timed("diff", () => diff(all, objectsOf(empty), ""));
  const steps = timed("plan", () => plan(objectsOf(all), objectsOf(empty)));
  const changed = compiled(claimsOf(ENTRIES, CHANGED));
  const change = timed("plan of the change", () => plan(objectsOf(changed), objectsOf(all)));
  const filled: number[] = [];
  const edited: number[] = [];
  for (let i = 0; i < TIMES; i++) {
    const loaded = new Loaded(kernel, `fill-${i}`);
    loaded.makeMaps();
    filled.push(loaded.fill(steps));
    edited.push(loaded.fill(change));
    loaded.remove();
  }
  stages["node: entries into an empty map"] = median(filled);
  stages["node: entries of the change"] = median(edited);
  return { stages, writes: linesOf(change).length };
}

export const linesOf = (steps: readonly Step[]): string[] =>
  steps.flatMap(({ tool, input }) => (tool === "bpf-entry" ? input : []));

export function programmingFigures({ stages }: Programming): Figures {
  return {
    title: `${ENTRIES} entries into an empty map, and a change of ${CHANGED} of them`,
    heads: ["", "seconds"],
    rows: Object.entries(stages).map(([stage, seconds]) => [stage, seconds.toFixed(3)]),
  };
}

/** What must hold whatever the load is, and what must hold on a quiet machine. */
export function programmingProblems({ stages, writes }: Programming): string[] {
  const seconds = stages["node: entries into an empty map"] ?? 0;
  return [
    ...(writes > CHANGED ? [`a change of ${CHANGED} entries writes ${writes}`] : []),
    ...(seconds >= 2 ? [`${ENTRIES} entries took ${seconds.toFixed(2)} s on the node, not under 2 s`] : []),
  ];
}
