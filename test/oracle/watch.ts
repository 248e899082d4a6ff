import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Lab } from "../lab";
import { CaptureFile } from "./capture-file";
import type { Packet } from "./packet";
import { capturePoints, insideRanges, type Point } from "./points";
import type { Traffic } from "./traffic";
import { startWorker } from "./worker";

export interface WatchOptions {
  /** Pods that send; none unless given. Packets of all pods are judged in any case. */
  readonly pods?: readonly string[];
  /** Outside hosts, by name or address, that they call one after the other; all unless given. */
  readonly targets?: readonly string[];
  /** How often a pod begins a TCP connection, and how often it sends a datagram from a new port. */
  readonly intervalMs?: number;
  /** How often a line goes over each held connection; 0 for no held connections. */
  readonly talkMs?: number;
}

/** What was captured, and what the senders noted. */
export interface Recording {
  readonly points: readonly Point[];
  readonly capture: { packets(): Iterable<Packet> };
  /** From when to when everything was captured; seconds since the epoch. */
  readonly begin: number;
  readonly end: number;
  /** How many packets the kernel could not hand over, at each point. */
  readonly dropped: readonly number[];
  readonly traffic: Traffic;
  /** Takes the files away; with `keep` leaves a pcap file of each point and says in which directory. */
  close(keep: boolean): string | undefined;
}

export interface Watch {
  readonly begin: number;
  readonly stop: () => Promise<Recording>;
}

/** Starts all captures, then all senders. */
export async function startWatch(lab: Lab, options: WatchOptions): Promise<Watch> {
  const request = senderRequest(lab, options);
  const points = capturePoints(lab);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), `egw-oracle-${lab.name}-`));
  const file = path.join(directory, "blocks");
  const inside = insideRanges(lab);
  const sniffer = startWorker<{ begin: number }, Sniffed>("sniff.py", { points, inside, file });
  const { begin } = await sniffer.begun;
  const sender = startWorker<unknown, Traffic>("send.py", request);
  try {
    await sender.begun;
  } catch (error) {
    await sniffer.stop();
    throw error;
  }
  const stop = async (): Promise<Recording> => {
    const [traffic, { end, dropped }] = await inTurn(sender.stop, sniffer.stop);
    const capture = new CaptureFile(file, points.length);
    const close = (keep: boolean): string | undefined => closeFiles(directory, file, points, capture, keep);
    return { points, capture, begin, end, dropped, traffic, close };
  };
  return { begin, stop };
}

interface Sniffed {
  readonly end: number;
  readonly dropped: readonly number[];
}

/** One after the other, the second also where the first fails. */
async function inTurn<A, B>(first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> {
  const [a] = await Promise.allSettled([first()]);
  const b = await second();
  if (a.status === "rejected") throw a.reason;
  return [a.value, b];
}

function closeFiles(
  directory: string,
  file: string,
  points: readonly Point[],
  capture: CaptureFile,
  keep: boolean,
): string | undefined {
  fs.rmSync(keep ? file : directory, { recursive: true });
  if (!keep) return undefined;
  points.forEach(({ host, device }, i) => {
    capture.writePcap(i, path.join(directory, `${host}-${device}.pcap`));
  });
  return directory;
}

/** What send.py wants to hear. */
function senderRequest(lab: Lab, { pods = [], targets, intervalMs = 40, talkMs = 100 }: WatchOptions): unknown {
  const nameOf = (target: string): string => lab.outside.find(({ address }) => address === target)?.name ?? target;
  const outside = targets === undefined ? lab.outside : targets.map((target) => find(lab.outside, nameOf(target)));
  return {
    pods: pods.map((name) => ({ name, netns: find(lab.pods, name).namespace })),
    targets: outside.map(({ address, ports }) => ({ address, tcp: ports.tcp, udp: ports.udp })),
    interval: intervalMs / 1000,
    talk: talkMs / 1000,
    timeout: 2,
  };
}

function find<T extends { readonly name: string }>(known: readonly T[], name: string): T {
  const found = known.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no ${JSON.stringify(name)}; there are ${known.map((one) => one.name).join(", ")}`);
}
