import type { Lab } from "../lab";
import { Expectations } from "./expectations";
import type { Mark } from "./findings";
import { usualSources } from "./judge";
import { reach, type Verdict } from "./verdict";
import { startWatch, type WatchOptions } from "./watch";

/** A pod, several pods, or a node for the traffic of its own. */
export type Who = string | readonly string[];

/** Stands among sources for what the cluster gives a pod by itself: its node's address, or its own if nobody masquerades. */
export const usual = "usual";

export interface Expectation {
  /** The source addresses that connections may show; none: nothing may leave. */
  readonly sources: readonly string[];
  /** Outside addresses or CIDRs for which this holds; all unless given. */
  readonly targets?: readonly string[];
  /** Seconds since the epoch; now unless given. */
  readonly from?: number;
}

export interface ChangeOptions {
  readonly targets?: readonly string[];
  /** Once it is done, old connections too may only show what is allowed then: "cut" all, "cut-paths" those that show another source than the usual one. */
  readonly established?: "keep" | "cut-paths" | "cut";
}

export interface Change {
  /** From now on only these sources, for new connections; those of the change unless given. */
  done(sources?: readonly string[]): void;
}

export interface Oracle {
  /** From now on new connections may show these sources and no other. */
  expect(who: Who, expectation: Expectation): void;
  /** Something begins that gives new connections these sources besides those that are allowed already. */
  changing(who: Who, allowedDuring: readonly string[], options?: ChangeOptions): Change;
  /** Adds a mark that failures are told by. */
  note(text: string): void;
  /** Ends the traffic and the captures, and judges. Must be called, also when a scenario fails. */
  stop(): Promise<Verdict>;
}

/** Begins to watch a lab; from here on pods may only show their usual address, until expect or changing say otherwise. */
export async function startOracle(lab: Lab, options: WatchOptions = {}): Promise<Oracle> {
  const usualOf = usualSources(lab);
  const expectations = new Expectations(usualOf);
  const marks: Mark[] = [];
  await standing.get(lab.name)?.stop();
  const watch = await startWatch(lab, options);
  const start = watch.begin;
  const note = (text: string): void => {
    marks.push({ at: now() - start, text });
  };
  const expand = (who: string, sources: readonly string[]): string[] =>
    sources.flatMap((source) => (source === usual ? (usualOf.get(who) ?? []) : [source]));
  const add = (who: Who, { sources, targets, from = now() }: Expectation, adds: boolean): void => {
    for (const one of each(who)) expectations.add(one, { at: from, sources: expand(one, sources), targets, adds });
  };
  let verdict: Promise<Verdict> | undefined;
  const oracle: Oracle = {
    note,
    expect: (who, expectation) => {
      add(who, expectation, false);
      note(`${print(who)} may show ${expectation.sources.join(", ") || "nothing"}`);
    },
    changing: (who, allowedDuring, { targets, established = "keep" } = {}) => {
      const from = now();
      const during = targets === undefined ? {} : { targets };
      add(who, { sources: allowedDuring, ...during, from }, true);
      const ends = each(who).map((one) => expectations.begin(one, from, established, targets));
      note(`${print(who)} may also show ${allowedDuring.join(", ") || "nothing"}`);
      return {
        done: (sources = allowedDuring) => {
          const until = now();
          add(who, { sources, ...during, from: until }, false);
          for (const end of ends) end(until);
          note(`${print(who)} may show ${sources.join(", ") || "nothing"}`);
        },
      };
    },
    stop: () => {
      standing.delete(lab.name);
      verdict ??= watch.stop().then((recording) => reach(lab, recording, marks, expectations));
      return verdict;
    },
  };
  standing.set(lab.name, oracle);
  return oracle;
}

/** The oracles that nobody has stopped yet, by lab: a scenario that failed must not disturb the next. */
const standing = new Map<string, Oracle>();

function now(): number {
  return Date.now() / 1000;
}

function each(who: Who): readonly string[] {
  return typeof who === "string" ? [who] : who;
}

function print(who: Who): string {
  const names = each(who);
  return names.length <= 3 ? names.join(", ") : `${names.length} pods`;
}
