import type { Connection } from "./connections";
import { groupBy } from "./group-by";
import { type Count, countAttempts, type FailedSpan, failedSpans, type HeldConnection, type Traffic } from "./traffic";

/** One source address that the outside saw; times in seconds since the oracle's start. */
export interface SourceReport {
  readonly packets: number;
  readonly connections: number;
  readonly first: number;
  readonly last: number;
}

export interface PodReport {
  readonly attempts: Count;
  readonly failed: readonly FailedSpan[];
  /** Of all its connections, also those that the scenario made. */
  readonly sources: Readonly<Record<string, SourceReport>>;
  /** Times in seconds since the oracle's start. */
  readonly held: readonly HeldConnection[];
}

/** What each pod tried and how it was seen outside, for every pod that sent something. */
export function podReports(
  traffic: Traffic,
  connections: readonly Connection[],
  start: number,
): Record<string, PodReport> {
  const attempts = groupBy(traffic.attempts, ({ pod }) => pod);
  const held = groupBy(traffic.held, ({ pod }) => pod);
  const seen = groupBy(connections, ({ pod }) => pod);
  const report = (pod: string): PodReport => ({
    attempts: countAttempts(attempts.get(pod) ?? []),
    failed: failedSpans(attempts.get(pod) ?? [], start),
    sources: sourceReports(seen.get(pod) ?? [], start),
    held: (held.get(pod) ?? []).map((one) => relativeTo(one, start)),
  });
  const pods = new Set([...attempts.keys(), ...held.keys(), ...seen.keys()]);
  return Object.fromEntries([...pods].sort().map((pod) => [pod, report(pod)]));
}

function sourceReports(connections: readonly Connection[], start: number): Record<string, SourceReport> {
  const reports: Record<string, SourceReport> = {};
  for (const { seen } of connections) {
    for (const [source, { packets, first, last }] of seen) {
      const sum = reports[source];
      reports[source] = {
        packets: packets + (sum?.packets ?? 0),
        connections: 1 + (sum?.connections ?? 0),
        first: Math.min(first - start, sum?.first ?? Number.POSITIVE_INFINITY),
        last: Math.max(last - start, sum?.last ?? Number.NEGATIVE_INFINITY),
      };
    }
  }
  return reports;
}

function relativeTo(held: HeldConnection, start: number): HeldConnection {
  return {
    ...held,
    time: held.time - start,
    ...(held.until === undefined ? {} : { until: held.until - start }),
    silences: held.silences.map(([from, until]) => [from - start, until - start] as const),
  };
}
