import { groupBy } from "./group-by";

/** One new connection or datagram of a sender; seconds since the epoch. */
export interface Attempt {
  readonly pod: string;
  readonly proto: "tcp" | "udp";
  readonly target: string;
  /** The port at the pod. */
  readonly port: number;
  readonly dport: number;
  readonly time: number;
  /** Absent where it was still under way when the senders were stopped. */
  readonly until?: number;
  /** The address that the other side saw, or why there was no answer. */
  readonly source?: string;
  readonly error?: string;
}

/** One connection or flow that stays. */
export interface HeldConnection {
  readonly pod: string;
  readonly proto: "tcp" | "udp";
  readonly target: string;
  readonly port: number;
  readonly dport: number;
  readonly time: number;
  /** When and how it ended, if it did before the senders were stopped: reset, closed, timeout, … */
  readonly until?: number;
  readonly error?: string;
  /** The address that the other side saw at first; of a UDP flow also at last. */
  readonly source?: string;
  readonly lastSource?: string;
  /** Lines sent, and those that came back. */
  readonly said: number;
  readonly echoed: number;
  /** Spans of more than a second in which a line waited for its echo. */
  readonly silences: readonly (readonly [number, number])[];
}

/** What send.py reports. */
export interface Traffic {
  readonly attempts: readonly Attempt[];
  readonly held: readonly HeldConnection[];
}

export interface Count {
  readonly tried: number;
  readonly worked: number;
  readonly failed: number;
}

export function countAttempts(attempts: readonly Attempt[]): Count {
  const worked = attempts.filter((attempt) => attempt.source !== undefined).length;
  const failed = attempts.filter((attempt) => attempt.error !== undefined).length;
  return { tried: worked + failed, worked, failed };
}

/** Attempts of one kind that failed one after the other with the same error. */
export interface FailedSpan {
  readonly proto: "tcp" | "udp";
  readonly target: string;
  readonly error: string;
  readonly count: number;
  /** When the first and the last of them began. */
  readonly from: number;
  readonly until: number;
}

/** The failures of one pod as spans, times relative to `start`. */
export function failedSpans(attempts: readonly Attempt[], start: number): FailedSpan[] {
  const spans: FailedSpan[] = [];
  for (const group of groupBy(attempts, ({ proto, target }) => `${proto} ${target}`).values()) {
    let open: FailedSpan | undefined;
    for (const { proto, target, error, time } of group) {
      if (open !== undefined && open.error !== error) {
        spans.push(open);
        open = undefined;
      }
      if (error === undefined) continue;
      const at = time - start;
      open = { proto, target, error, from: open?.from ?? at, until: at, count: (open?.count ?? 0) + 1 };
    }
    if (open !== undefined) spans.push(open);
  }
  return spans.sort((a, b) => a.from - b.from);
}
