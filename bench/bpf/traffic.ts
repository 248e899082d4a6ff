import { megahertz } from "../machine";
import { say } from "../progress";
import type { PartResult } from "../result";
import { inRounds, type Rounds } from "../rounds";
import { flow } from "../throughput/run";
import { verifyPaths } from "../throughput/verify";
import { type Scene, scene, verifyCarriers } from "./lab";
import { type Path, type PathName, pathNames } from "./paths";
import { programFigures } from "./program-figures";
import { type ProgramRun, programRuns } from "./program-runs";
import { steerFlows } from "./steer";
import { boundBy, trafficRows } from "./traffic-rows";

interface Scale {
  readonly rounds: number;
  readonly seconds: number;
  readonly datagramSeconds: number;
  readonly connections: number;
  readonly requests: number;
}

const full: Scale = { rounds: 15, seconds: 1, datagramSeconds: 0.6, connections: 3000, requests: 4000 };
const quick: Scale = { ...full, rounds: 3, datagramSeconds: 0.3, connections: 1000, requests: 1000 };

/** Streams, small packets, connections and requests: either datapath against each other, plain masquerade and no NAT. */
export async function traffic(isQuick: boolean): Promise<PartResult> {
  const scale = isQuick ? quick : full;
  const all = await scene("benchbpf");
  await verifyCarriers(all);
  const { lab, paths, sender } = all;

  const problems: string[] = [];
  const step = <T>(what: string, measure: (path: Path) => Promise<T>): Promise<Rounds<PathName, T>> =>
    inRounds(pathNames, (name) => measure(paths[name]), {
      count: scale.rounds,
      onRound: (round) => say(`traffic: ${what}, round ${round} of ${scale.rounds}`),
      onLost: (lost) => problems.push(`${what}, ${lost}`),
    });
  const one = await step("TCP, 1 stream", (path) => flow(lab, path, 1, scale.seconds));
  const eight = await step("TCP, 8 streams", (path) => flow(lab, path, 8, scale.seconds));
  const small = await step("UDP", (path) => sender.datagrams(path, scale.datagramSeconds));
  const connects = await step("connections", (path) => sender.connections(path, scale.connections));
  const requests = await step("requests", (path) => sender.requests(path, scale.requests));
  await verifyPaths(lab, Object.values(paths));
  await verifyCarriers(all);
  const runs = await runsOf(all, scale);
  await steerFlows(lab);
  const oneSteered = await step("TCP, 1 stream, steered", (path) => flow(lab, path, 1, scale.seconds));
  const eightSteered = await step("TCP, 8 streams, steered", (path) => flow(lab, path, 8, scale.seconds));
  await verifyCarriers(all);

  const faster = { is: "more" } as const;
  const bits = (flowed: { readonly bitsPerSecond: number }) => flowed.bitsPerSecond;
  const rate = (counted: { readonly perSecond: number }) => counted.perSecond;
  return {
    title:
      "traffic: bytes, packets and connections a second (over 1: faster), latency (over 1: slower); goals in brackets",
    rows: [
      ...trafficRows("TCP, 1 stream", one, bits, { ...faster, toMasquerade: 0.95 }, boundBy(one)),
      ...trafficRows("TCP, 8 streams", eight, bits, { ...faster, toMasquerade: 1 }, boundBy(eight)),
      ...trafficRows("1 stream, steered", oneSteered, bits, { ...faster, toMasquerade: 0.95 }, boundBy(oneSteered)),
      ...trafficRows("8 streams, steered", eightSteered, bits, { ...faster, toMasquerade: 1 }, boundBy(eightSteered)),
      ...trafficRows("UDP, 64 bytes", small, rate, { ...faster, toMasquerade: 0.85 }, boundBy(small)),
      ...trafficRows("new connections", connects, rate, { ...faster, toMasquerade: 0.9 }, boundBy(connects)),
      ...trafficRows("answer, p50", requests, ({ p50 }) => p50, { is: "less" }, boundBy(requests)),
      ...trafficRows("answer, p99", requests, ({ p99 }) => p99, { is: "less", toMasquerade: 1.1 }, boundBy(requests)),
    ],
    figures: [programFigures(runs, megahertz())],
    facts: [
      "Median of the paired ratios of all rounds; the interval is a bootstrap of that median (10,000 resamples, 2.5 to 97.5 %).",
      "All hosts share this machine's cores, so the gateway's hop takes from the same ones as all else. Each datapath has a client and a gateway node of its own.",
      "Steered: each flow has one core at every device (RPS), on every path.",
      `One measurement: ${scale.seconds} s of iperf3; ${scale.datagramSeconds} s of datagrams; ${scale.connections} connections, or ${scale.requests} requests of 64 bytes, one after the other.`,
    ],
    problems,
    raw: { scale, one, eight, oneSteered, eightSteered, small, connects, requests, runs },
  };
}

/** How long the programs run, which is not measured while paths are compared. */
async function runsOf({ lab, paths, sender }: Scene, scale: Scale): Promise<Record<string, ProgramRun[]>> {
  const nodes = [paths.bpf.client, ...(paths.bpf.gateway ? [paths.bpf.gateway] : [])];
  const during = (act: () => Promise<unknown>): Promise<ProgramRun[]> => programRuns(lab, nodes, act);
  say("traffic: what the programs run");
  return {
    "TCP, 1 stream": await during(() => flow(lab, paths.bpf, 1, scale.seconds)),
    "UDP, 64 bytes": await during(() => sender.datagrams(paths.bpf, scale.datagramSeconds)),
    connections: await during(() => sender.connections(paths.bpf, scale.connections)),
    requests: await during(() => sender.requests(paths.bpf, scale.requests)),
  };
}
