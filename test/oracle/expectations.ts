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

interface ChangeSpan {
  readonly from: number;
  until: number;
  readonly cuts: boolean;
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

  constructor(usual: ReadonlyMap<string, readonly string[]>) {
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

  /** A change begins; the answer tells that it has ended. One that cuts ends old connections on a source no longer allowed. */
  begin(who: string, from: number, cuts: boolean, targets?: readonly string[]): (until: number) => void {
    const span: ChangeSpan = { from, until: Number.POSITIVE_INFINITY, cuts, matches: matcher(targets) };
    this.of(this.changes, who).push(span);
    return (until) => {
      span.until = until;
    };
  }

  /** Every source allowed at any time of a span, skew included. */
  allowed(who: string, target: string, from: number, to: number): ReadonlySet<string> {
    const entries = this.of(this.entries, who).filter((entry) => entry.matches(target));
    const sources = new Set<string>();
    for (const entry of entries.toReversed()) {
      if (entry.at > to + skewSeconds) continue;
      for (const source of entry.sources) sources.add(source);
      if (!entry.adds && entry.at <= from - skewSeconds) break;
    }
    return sources;
  }

  /** Whether a change that cuts was complete between these times. */
  wasCut(who: string, target: string, from: number, to: number): boolean {
    return this.of(this.changes, who).some(
      ({ cuts, until, matches }) => cuts && until > from && until < to - skewSeconds && matches(target),
    );
  }

  /** Whether a change was under way at any time of a span; with `cuts`, one that cuts. */
  wasChanging(who: string, target: string, from: number, to: number, cuts = false): boolean {
    return this.of(this.changes, who).some(
      (change) =>
        (change.cuts || !cuts) &&
        change.from <= to + skewSeconds &&
        change.until >= from - skewSeconds &&
        change.matches(target),
    );
  }

  everybody(): string[] {
    return [...this.entries.keys()];
  }

  private of<T>(map: ReadonlyMap<string, T>, who: string): T {
    const found = map.get(who);
    if (found !== undefined) return found;
    throw new Error(`the oracle knows no ${JSON.stringify(who)}; it knows ${this.everybody().join(", ")}`);
  }
}

function matcher(targets: readonly string[] | undefined): (target: string) => boolean {
  return targets === undefined ? () => true : rangeTest(targets);
}
