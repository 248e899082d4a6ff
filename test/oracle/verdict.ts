import type { Connection } from "./connections";
import type { Expectations } from "./expectations";
import { type Mark, nearestMarks, printTime } from "./findings";
import { groupBy } from "./group-by";
import type { Judgement } from "./judge";
import type { Traffic } from "./traffic";
import { type Attempt, type Count, countAttempts, type FailedSpan, failedSpans, type HeldConnection } from "./traffic";

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
  /** Times are seconds since the oracle's start. */
  readonly held: readonly HeldConnection[];
}

export interface Verdict {
  /** Everything that left with a source that was not allowed, a sentence each; also whatever makes the run prove nothing. */
  readonly failures: readonly string[];
  /** Attempts that failed and held connections that broke or fell silent while nothing was changing and a source was allowed. */
  readonly brokenOutsideChanges: readonly string[];
  readonly attempts: Count;
  readonly pods: Readonly<Record<string, PodReport>>;
  readonly judged: { readonly packets: number; readonly connections: number; readonly unattributed: number };
  readonly marks: readonly Mark[];
  readonly seconds: number;
  /** Where the captures lie, one pcap file a capture point; only after a failure. */
  readonly pcaps?: string;
}

/** What a run came to, apart from the packets themselves. */
export interface Run {
  readonly start: number;
  readonly pods: readonly string[];
  readonly marks: readonly Mark[];
  readonly expectations: Expectations;
  readonly traffic: Traffic;
  readonly judgement: Judgement;
}

/** Reports by pod: what was tried and what was seen. */
export function podReports({ start, pods, traffic, judgement }: Run): Record<string, PodReport> {
  const connections = groupBy(judgement.connections.all(), (connection) => connection.pod);
  const watched = new Set([...pods, ...connections.keys()]);
  return Object.fromEntries(
    [...watched].map((pod) => {
      const attempts = traffic.attempts.filter((attempt) => attempt.pod === pod);
      const report: PodReport = {
        attempts: countAttempts(attempts),
        failed: failedSpans(attempts, start),
        sources: sourceReports(connections.get(pod) ?? [], start),
        held: traffic.held.filter((held) => held.pod === pod).map((held) => relativeTo(held, start)),
      };
      return [pod, report];
    }),
  );
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

/** Every attempt that an outside host answered must have been seen on its way, with the source that the host saw. */
export function blindSpots({ start, traffic, judgement }: Run): string[] {
  const missed = traffic.attempts.filter((attempt) => {
    if (attempt.source === undefined) return false;
    const tuple = {
      proto: attempt.proto === "tcp" ? 6 : 17,
      sport: attempt.port,
      dst: attempt.target,
      dport: attempt.dport,
    };
    return !judgement.connections
      .ofPod(attempt.pod, tuple)
      .some((connection) => connection.seen.has(`${attempt.source}`));
  });
  const [first] = missed;
  if (first === undefined) return [];
  return [
    `the oracle is blind: ${missed.length} connection(s) were answered but not captured with the source that was seen, first` +
      ` ${printTime(first.time - start)} ${first.pod}:${first.port} → ${first.target} ${first.proto}, seen as ${first.source}`,
  ];
}

/** Sentences about what did not work though it should have. */
export function brokenOutsideChanges(run: Run): string[] {
  const { expectations, traffic, start, marks } = run;
  const counts = ({ pod, target }: Pick<Attempt, "pod" | "target">, from: number, until: number): boolean =>
    !expectations.wasChanging(pod, target, from, until) && expectations.allowed(pod, target, from, until).size > 0;
  const end = Math.max(start, ...traffic.attempts.slice(-100).map((attempt) => attempt.time));
  const failed = traffic.attempts.filter((one) => one.error !== undefined && counts(one, one.time, one.until ?? end));
  const ended = traffic.held.filter(
    (one) => one.error !== undefined && counts(one, one.until ?? end, one.until ?? end),
  );
  const silent = traffic.held.flatMap((one) =>
    one.silences.filter(([from, until]) => counts(one, from, until)).map((span) => ({ one, span })),
  );
  const say = (at: number, text: string): string => {
    const near = nearestMarks(at - start, marks);
    return `${printTime(at - start)} ${text}${near === "" ? "" : `; ${near}`}`;
  };
  return [
    ...failed.map((one) => say(one.time, `${one.pod}:${one.port} → ${one.target} ${one.proto}: ${one.error}`)),
    ...ended.map((one) =>
      say(one.until ?? end, `held ${one.proto} ${one.pod}:${one.port} → ${one.target}: ${one.error}`),
    ),
    ...silent.map(({ one, span: [from, until] }) =>
      say(from, `held ${one.proto} ${one.pod}:${one.port} → ${one.target}: no echo for ${(until - from).toFixed(1)} s`),
    ),
  ];
}
