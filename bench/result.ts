import type { Summary } from "./statistics";

/** One line of the table: what was measured side by side, as a ratio, and what keeps it from being better. */
export interface Row {
  readonly what: string;
  readonly ratio: Summary;
  readonly bound: string;
}

/** Figures that are no ratios. */
export interface Figures {
  readonly title: string;
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface PartResult {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly figures?: readonly Figures[];
  /** Exact counts and shares, one sentence each. */
  readonly facts: readonly string[];
  /** Rounds that were lost and claims that did not hold. */
  readonly problems: readonly string[];
  /** Every round, for the JSON. */
  readonly raw: Readonly<Record<string, unknown>>;
}
