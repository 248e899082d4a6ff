import { randomUUID } from "node:crypto";
import { askAgent } from "./agent";
import { type CallError, type CallOptions, callRequest, type Target } from "./pod-call";
import type { Lab } from "./topology";

/** One call or line of a stream: seconds since the epoch, and what it saw or why it failed. */
export interface StreamResult {
  readonly time: number;
  readonly until: number;
  readonly source?: string;
  readonly error?: CallError;
}

export interface Stream {
  /** Ends it once what is under way has ended; gives everything in order of its beginning. */
  stop(): Promise<readonly StreamResult[]>;
}

/** A TCP connection that stays open. */
export interface Held {
  readonly source: string;
  readonly sport: number;
  readonly localPort: number;
  /** Sends a line and waits for its echo, which comes so much later; undefined when it came, else why not. */
  say(timeoutMs?: number, laterMs?: number): Promise<CallError | undefined>;
  close(): Promise<void>;
}

export interface StreamOptions extends CallOptions {
  readonly intervalMs?: number;
}

/** Begins a new connection (datagram, request, echo) at every interval, whether or not others hang. */
export async function podSend(lab: Lab, pod: string, target: Target, options: StreamOptions = {}): Promise<Stream> {
  return await startStream(lab, pod, "send", target, options);
}

/** Talks on one TCP connection at every interval, until the first failure. */
export async function podTalk(lab: Lab, pod: string, target: Target, options: StreamOptions = {}): Promise<Stream> {
  return await startStream(lab, pod, "talk", target, options);
}

/** Opens a TCP connection and holds it; an error instead of a connection is thrown. */
export async function podHold(lab: Lab, pod: string, target: Target, options: CallOptions = {}): Promise<Held> {
  const id = randomUUID();
  const answer = await askAgent(lab, pod, {
    op: "start",
    kind: "hold",
    id,
    ...callRequest(lab, target, { ...options, proto: "tcp" }),
  });
  if (typeof answer.error === "string") throw new Error(`${pod}: no connection to hold: ${answer.error}`);
  return {
    source: String(answer.source),
    sport: Number(answer.sport),
    localPort: Number(answer.localPort),
    say: async (timeoutMs = 2000, laterMs = 0) => {
      const text = laterMs > 0 ? `after ${laterMs / 1000}` : "hello";
      const echo = await askAgent(lab, pod, { op: "say", id, text, timeout: (timeoutMs + laterMs) / 1000 });
      return echo.error as CallError | undefined;
    },
    close: async () => {
      await askAgent(lab, pod, { op: "stop", id });
    },
  };
}

async function startStream(
  lab: Lab,
  pod: string,
  kind: "send" | "talk",
  target: Target,
  options: StreamOptions,
): Promise<Stream> {
  const { intervalMs = 20, ...call } = options;
  const id = randomUUID();
  const request = { ...callRequest(lab, target, call), interval: intervalMs / 1000 };
  const begun = await askAgent(lab, pod, { op: "start", kind, id, ...request });
  if (typeof begun.error === "string") throw new Error(`${pod}: no connection to talk on: ${begun.error}`);
  return {
    stop: async () => {
      const ended = await askAgent(lab, pod, { op: "stop", id });
      return ended.results as readonly StreamResult[];
    },
  };
}
