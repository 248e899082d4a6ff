import { execOk, type Lab } from "../../test/lab";
import { type Busy, watchCores } from "../cpu";
import type { Path } from "./paths";
import { IPERF_PORT, PING_PONG_PORT, pingPong } from "./servers";

/** What one run of iperf3 showed. */
export interface Flow {
  readonly bitsPerSecond: number;
  readonly retransmits: number;
  readonly mss: number;
  readonly busy: Busy;
}

/** What one run of ping-pong.py showed; times in microseconds. */
export interface Answers {
  readonly connectsPerSecond: number;
  readonly connectP50: number;
  readonly connectP99: number;
  readonly answerP50: number;
  readonly answerP99: number;
}

interface IperfReport {
  readonly error?: string;
  readonly start: { readonly tcp_mss_default: number };
  readonly end: {
    readonly sum_sent: { readonly retransmits: number };
    readonly sum_received: { readonly bits_per_second: number };
  };
}

/** Bytes from the pod to the outside, over so many connections, for so long. */
export async function flow(
  lab: Lab,
  path: Pick<Path, "pod" | "address">,
  streams: number,
  seconds: number,
): Promise<Flow> {
  const limits = ["--connect-timeout", "5000", "--time", String(seconds)];
  const argv = ["iperf3", "--client", path.address, "--port", String(IPERF_PORT), "--json", ...limits];
  const busySince = watchCores();
  const text = await execOk(lab, path.pod, [...argv, "--parallel", String(streams)], {
    timeoutMs: (seconds + 15) * 1000,
  });
  const busy = busySince();
  const { error, start, end } = JSON.parse(text) as IperfReport;
  if (error !== undefined) throw new Error(error);
  return {
    bitsPerSecond: end.sum_received.bits_per_second,
    retransmits: end.sum_sent.retransmits,
    mss: start.tcp_mss_default,
    busy,
  };
}

/** Short connections one after the other, then requests on one that stays open. */
export async function answers(lab: Lab, path: Path, connections: number, requests: number): Promise<Answers> {
  const argv = pingPong("measure", path.address, PING_PONG_PORT, connections, requests);
  return JSON.parse(await execOk(lab, path.pod, argv, { timeoutMs: 60_000 })) as Answers;
}
