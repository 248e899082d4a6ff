import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type AgentAnswer, askAgent } from "./agent";
import type { Lab } from "./topology";

export type Proto = "tcp" | "udp" | "http" | "icmp";

/** An address; the port is that of the lab's own server for the protocol, unless it is given. */
export type Target = string | { readonly address: string; readonly port?: number };

export interface CallOptions {
  readonly proto?: Proto;
  readonly timeoutMs?: number;
  readonly sourcePort?: number;
  /** HTTP: the path to get, or how many bytes to post. */
  readonly path?: string;
  readonly upload?: number;
  /** HTTP: so many bytes of that a second. */
  readonly rate?: number;
  /** UDP: the length of the datagram. */
  readonly bytes?: number;
}

/** One word for why a call had no answer. */
export type CallError = "refused" | "reset" | "timeout" | "unreachable" | "prohibited" | "too-big" | (string & {});

export interface CallResult {
  /** The source address and port that the other side saw; absent when there is an error. */
  readonly source?: string;
  readonly sport?: number;
  readonly error?: CallError;
  /** HTTP: length of the answer's body, of what the server received, and time. */
  readonly bytes?: number;
  readonly received?: number;
  readonly seconds?: number;
}

/** Makes a real call from a pod or outside host and tells whom the other side saw. */
export async function podCall(lab: Lab, pod: string, target: Target, options: CallOptions = {}): Promise<CallResult> {
  const answer = await askAgent(lab, pod, { op: "call", ...callRequest(lab, target, options) });
  if (typeof answer.payload !== "string") return answer as CallResult;
  return { source: await echoSource(lab, addressOf(target), answer.payload) };
}

/** A call as the agent wants to hear it. */
export function callRequest(lab: Lab, target: Target, options: CallOptions): Readonly<Record<string, unknown>> {
  const { proto = "tcp", timeoutMs = 2000, ...rest } = options;
  const given = typeof target === "string" ? undefined : target.port;
  const port = given ?? (proto === "icmp" ? 0 : portOf(lab, addressOf(target), proto));
  return { ...rest, proto, address: addressOf(target), port, timeout: timeoutMs / 1000 };
}

function addressOf(target: Target): string {
  return typeof target === "string" ? target : target.address;
}

/** The port on which a host of the lab answers; what is unknown here answers on 80. */
function portOf(lab: Lab, address: string, proto: Exclude<Proto, "icmp">): number {
  const host = [...lab.pods, ...lab.outside].find((candidate) => candidate.address === address);
  const service = Object.values(lab.services).find(({ clusterIP }) => clusterIP === address);
  return host?.ports[proto] ?? service?.port ?? 80;
}

/** An echo's answer can't tell whom the other side saw; its log can, by the payload. */
async function echoSource(lab: Lab, address: string, payload: string): Promise<string | undefined> {
  const host = [...lab.pods, ...lab.outside].find((candidate) => candidate.address === address);
  if (host === undefined) return undefined;
  for (let tries = 0; tries < 50; tries++) {
    const line = tail(host.log).find((candidate) => candidate.includes(payload));
    if (line !== undefined) return (JSON.parse(line) as { source: string }).source;
    await sleep(5);
  }
  throw new Error(`${host.name} answered an echo that its log doesn't have`);
}

function tail(file: string): string[] {
  const handle = fs.openSync(file, "r");
  try {
    const { size } = fs.fstatSync(handle);
    const length = Math.min(size, 65_536);
    const buffer = Buffer.alloc(length);
    fs.readSync(handle, buffer, 0, length, size - length);
    return buffer.toString().split("\n");
  } finally {
    fs.closeSync(handle);
  }
}

/** Sends IP packets (hex, IP header first) from a pod or outside host as they are. */
export async function podSendRaw(lab: Lab, pod: string, packets: readonly string[]): Promise<AgentAnswer> {
  return await askAgent(lab, pod, { op: "raw", packets });
}
