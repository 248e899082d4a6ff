import { rangeTest } from "./ranges";

/** How far the clocks of a scenario and of a capture may be apart. */
export const skewSeconds = 0.02;

interface Entry {
  readonly at: number;
  readonly matches: (target: string) => boolean;
  readonly sources: readonly string[];
  /** Allowed besides what was allowed before. */
  readonly adds: boolean;
}

/** What a change does to connections that are open: see `ChangeOptions`. */
export type Established = "keep" | "cut-paths" | "cut";

interface ChangeSpan {
  readonly from: number;
  until: number;
  readonly established: Established;
  readonly matches: (target: string) => boolean;
}

export interface EntryOptions {
  readonly at: number;
  readonly sources: readonly string[];
  readonly targets?: readonly string[] | undefined;
  readonly adds?: boolean;
}

/** Which source addresses the connections of whom may show to which target, and since when. */
export class Expectations {
  private readonly entries = new Map<string, Entry[]>();
  private readonly changes = new Map<string, ChangeSpan[]>();

  constructor(private readonly usual: ReadonlyMap<string, readonly string[]>) {
    for (const [who, sources] of usual) {
      this.entries.set(who, [{ at: Number.NEGATIVE_INFINITY, matches: () => true, sources, adds: false }]);
      this.changes.set(who, []);
    }
  }

  /** From `at` on these sources, until a later entry for the same target says otherwise. */
  add(who: string, { at, sources, targets, adds = false }: EntryOptions): void {
    const entries = this.of(this.entries, who);
    entries.push({ at, sources, adds, matches: matcher(targets) });
    entries.sort((a, b) => a.at - b.at);
  }

  /** A change begins; the answer tells that it has ended. One that cuts ends old connections on a source that is no longer allowed. */
  begin(who: string, from: number, established: Established, targets?: readonly string[]): (until: number) => void {
    const span: ChangeSpan = { from, until: Number.POSITIVE_INFINITY, established, matches: matcher(targets) };
    this.of(this.changes, who).push(span);
    return (until) => {
      span.until = until;
    };
  }

  /** Every source allowed at any time of a span, skew included. */
  allowed(who: string, target: string, from: number, to: number): ReadonlySet<string> {
    return this.inForce(who, target, from - skewSeconds, to + skewSeconds);
  }

  /** Whether between these times a change was done that cuts connections with this source. */
  wasCut(who: string, target: string, source: string, from: number, to: number): boolean {
    return this.changesOf(who, target).some(
      ({ established, until }) =>
        this.cuts(who, established, source) &&
        until > from &&
        until < to - skewSeconds &&
        !this.inForce(who, target, until, until).has(source),
    );
  }

  /** Whether a change that cuts connections with this source was under way at any time of a span. */
  wasCutting(who: string, target: string, source: string, from: number, to: number): boolean {
    return this.changesOf(who, target).some(
      (change) => this.cuts(who, change.established, source) && overlaps(change, from, to),
    );
  }

  /** Whether what is allowed was other at one time of a span than at another, or a change was under way. */
  wasChanging(who: string, target: string, from: number, to: number): boolean {
    const begins = this.entriesOf(who, target).some(({ at }) => overlaps({ from: at, until: at }, from, to));
    return begins || this.changesOf(who, target).some((change) => overlaps(change, from, to));
  }

  private cuts(who: string, established: Established, source: string): boolean {
    return established === "cut" || (established === "cut-paths" && !this.usual.get(who)?.includes(source));
  }

  private inForce(who: string, target: string, from: number, to: number): ReadonlySet<string> {
    const sources = new Set<string>();
    for (const entry of this.entriesOf(who, target).reverse()) {
      if (entry.at > to) continue;
      for (const source of entry.sources) sources.add(source);
      if (!entry.adds && entry.at <= from) break;
    }
    return sources;
  }

  private entriesOf(who: string, target: string): Entry[] {
    return this.of(this.entries, who).filter((entry) => entry.matches(target));
  }

  private changesOf(who: string, target: string): ChangeSpan[] {
    return this.of(this.changes, who).filter((change) => change.matches(target));
  }

  private of<T>(map: ReadonlyMap<string, T>, who: string): T {
    const found = map.get(who);
    if (found !== undefined) return found;
    throw new Error(`the oracle knows no ${JSON.stringify(who)}; it knows ${[...this.entries.keys()].join(", ")}`);
  }
}

function overlaps(span: { readonly from: number; readonly until: number }, from: number, to: number): boolean {
  return span.from <= to + skewSeconds && span.until >= from - skewSeconds;
}

function matcher(targets: readonly string[] | undefined): (target: string) => boolean {
  return targets === undefined ? () => true : rangeTest(targets);
}
