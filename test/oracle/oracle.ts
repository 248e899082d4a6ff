import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Lab } from "../lab";
import { readPackets, writePcaps } from "./capture-file";
import { Expectations } from "./expectations";
import type { Mark } from "./findings";
import { judge, usualSources } from "./judge";
import { capturePoints, insideRanges, type Point } from "./points";
import { countAttempts, type Traffic } from "./traffic";
import { blindSpots, brokenOutsideChanges, podReports, type Run, type Verdict } from "./verdict";
import { startWorker, type Worker } from "./worker";

export interface OracleOptions {
  /** Pods that send; none unless given. Packets of all pods are judged in any case. */
  readonly pods?: readonly string[];
  /** Outside hosts, by name, that they call one after the other; all unless given. */
  readonly targets?: readonly string[];
  /** How often a pod begins a TCP connection, and how often it sends a datagram from a new port. */
  readonly intervalMs?: number;
  /** How often a line goes over each held connection; 0 for no held connections. */
  readonly talkMs?: number;
}

/** A pod, several pods, or a node for the traffic of its own. */
export type Who = string | readonly string[];

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
  /** "cut": once it is done, old connections too may only show what is allowed then. */
  readonly established?: "keep" | "cut";
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
  /** Ends the traffic and the captures, and judges. */
  stop(): Promise<Verdict>;
}

interface Started {
  readonly lab: Lab;
  readonly points: readonly Point[];
  readonly pods: readonly string[];
  readonly directory: string;
  readonly sniffer: Worker<{ readonly dropped: readonly number[] }>;
  readonly sender: Worker<Traffic>;
  readonly start: number;
}

/** Begins to watch a lab; from here on pods may only show their usual address, until expect or changing say otherwise. */
export async function startOracle(lab: Lab, options: OracleOptions = {}): Promise<Oracle> {
  const { pods = [], targets = lab.outside.map((host) => host.name), intervalMs = 40, talkMs = 100 } = options;
  const points = capturePoints(lab);
  const request = senderRequest(lab, pods, targets, intervalMs, talkMs);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), `egw-oracle-${lab.name}-`));
  const file = path.join(directory, "blocks");
  const sniffer = await startWorker<{ dropped: number[] }>("sniff.py", { points, inside: insideRanges(lab), file });
  const start = Date.now() / 1000;
  const sender = await startWorker<Traffic>("send.py", request);
  return oracleOf({ lab, points, pods, directory, sniffer, sender, start });
}

function senderRequest(
  lab: Lab,
  pods: readonly string[],
  targets: readonly string[],
  intervalMs: number,
  talkMs: number,
): unknown {
  const find = <T extends { readonly name: string }>(known: readonly T[], name: string): T => {
    const found = known.find((one) => one.name === name);
    if (found !== undefined) return found;
    throw new Error(
      `lab "${lab.name}" has no ${JSON.stringify(name)}; it has ${known.map((one) => one.name).join(", ")}`,
    );
  };
  return {
    pods: pods.map((name) => ({ name, netns: find(lab.pods, name).namespace })),
    targets: targets
      .map((name) => find(lab.outside, name))
      .map(({ address, ports }) => ({ address, tcp: ports.tcp, udp: ports.udp })),
    interval: intervalMs / 1000,
    talk: talkMs / 1000,
    timeout: 2,
  };
}

function oracleOf(started: Started): Oracle {
  const expectations = new Expectations(usualSources(started.lab));
  const marks: Mark[] = [];
  const now = (): number => Date.now() / 1000;
  const note = (text: string): void => {
    marks.push({ at: now() - started.start, text });
  };
  const each = (who: Who): readonly string[] => (typeof who === "string" ? [who] : who);
  let verdict: Promise<Verdict> | undefined;
  return {
    note,
    expect: (who, { sources, targets, from = now() }) => {
      for (const one of each(who)) expectations.add(one, { at: from, sources, targets });
      note(`${each(who).join(", ")}: ${sources.join(", ") || "nothing may leave"}`);
    },
    changing: (who, allowedDuring, { targets, established = "keep" } = {}) => {
      const at = now();
      const ends = each(who).map((one) => {
        expectations.add(one, { at, sources: allowedDuring, targets, adds: true });
        return { one, end: expectations.begin(one, at, established === "cut", targets) };
      });
      note(`${each(who).join(", ")}: changing, also ${allowedDuring.join(", ") || "nothing"}`);
      return {
        done: (sources = allowedDuring) => {
          const until = now();
          for (const { one, end } of ends) {
            expectations.add(one, { at: until, sources, targets });
            end(until);
          }
          note(`${each(who).join(", ")}: changed, ${sources.join(", ") || "nothing may leave"}`);
        },
      };
    },
    stop: () => {
      verdict ??= finish(started, expectations, marks);
      return verdict;
    },
  };
}

async function finish(started: Started, expectations: Expectations, marks: readonly Mark[]): Promise<Verdict> {
  const { lab, points, pods, directory, start } = started;
  const traffic = await started.sender.stop();
  const { dropped } = await started.sniffer.stop();
  const seconds = Date.now() / 1000 - start;
  const file = path.join(directory, "blocks");
  const judgement = judge(lab, points, readPackets(file), expectations);
  const run: Run = { start, pods, marks, expectations, traffic, judgement };
  const names = points.map((point) => point.name);
  const lost = dropped.flatMap((count, i) => (count > 0 ? [`the capture at ${names[i]} lost ${count} packets`] : []));
  const failures = [...lost, ...blindSpots(run), ...judgement.findings.sentences(start, names, marks)];
  if (failures.length > 0)
    writePcaps(
      file,
      directory,
      points.map((point) => `${point.host}-${point.device}`),
    );
  fs.rmSync(failures.length > 0 ? file : directory, { recursive: true });
  const { judged, unattributed, connections } = judgement;
  const seen = connections.all().filter((connection) => connection.seen.size > 0).length;
  return {
    failures,
    brokenOutsideChanges: brokenOutsideChanges(run),
    attempts: countAttempts(traffic.attempts),
    pods: podReports(run),
    judged: { packets: judged, connections: seen, unattributed },
    marks,
    seconds,
    ...(failures.length > 0 ? { pcaps: directory } : {}),
  };
}
