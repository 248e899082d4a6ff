import { labDown, labUp } from "../../test/lab";
import { Operator } from "../../test/operator/operator";
import { Stack } from "../../test/operator/stack";
import { atEnd } from "../cleanup";
import { say } from "../progress";
import type { PartResult } from "../result";
import { inRounds, type RoundOptions, type Rounds } from "../rounds";
import {
  excludeFromMasquerade,
  type Path,
  type PathName,
  pathNamed,
  pathNames,
  pathsOf,
  programOf,
  verifyPaths,
} from "./paths";
import { answerRows, flowRows, mssFact } from "./rows";
import { answers, flow } from "./run";
import { startServers } from "./servers";

const NAME = "benchflow";

interface Scale {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly requests: number;
  /** Policies on the nodes besides the one that selects. */
  readonly others: number;
}

const scales = {
  full: { rounds: 8, seconds: 2, connections: 800, requests: 4000, others: 199 },
  quick: { rounds: 3, seconds: 1, connections: 200, requests: 1000, others: 199 },
} satisfies Record<string, Scale>;

/** A pod through the gateway against other ways out, on one lab in one run. */
export async function throughput(isQuick: boolean): Promise<PartResult> {
  const scale: Scale = isQuick ? scales.quick : scales.full;
  say("throughput: builds a lab of 2 client nodes and a gateway node");
  await labDown(NAME);
  atEnd(() => labDown(NAME));
  const lab = await labUp({ name: NAME, clients: 2, gateways: 1 });
  const operator = Operator.start(lab);
  atEnd(() => operator.stop());
  const stack = new Stack(operator);
  await stack.up(programOf(lab, 0));
  await excludeFromMasquerade(lab);
  await startServers(lab);
  const paths = pathsOf(lab);
  await verifyPaths(lab, paths);

  const problems: string[] = [];
  const step = <T>(what: string, measure: (path: Path) => Promise<T>): Promise<Rounds<PathName, T>> => {
    const options: RoundOptions = {
      count: scale.rounds,
      onRound: (round) => say(`throughput: ${what}, round ${round} of ${scale.rounds}`),
      onLost: (lost) => problems.push(`${what}, ${lost}`),
    };
    return inRounds(pathNames, (name) => measure(pathNamed(paths, name)), options);
  };
  const one = await step("TCP, one stream", (path) => flow(lab, path, 1, scale.seconds));
  const eight = await step("TCP, 8 streams", (path) => flow(lab, path, 8, scale.seconds));
  const few = await step("connections and requests", (path) => answers(lab, path, scale.connections, scale.requests));
  say(`throughput: ${scale.others} more policies on the same nodes`);
  await stack.up(programOf(lab, scale.others));
  await verifyPaths(lab, paths);
  const many = await step(`connections with ${scale.others + 1} policies`, (path) =>
    answers(lab, path, scale.connections, scale.requests),
  );
  await verifyPaths(lab, paths);

  const rate = "round trips of one client: latency and CPU of all hops";
  return {
    title: "throughput: bytes and connections a second (over 1 is faster), latency (over 1 is slower)",
    rows: [
      ...flowRows("TCP, 1 stream", one),
      ...flowRows("TCP, 8 streams", eight),
      ...answerRows("new connections", few, ({ connectsPerSecond }) => connectsPerSecond, rate),
      ...answerRows(
        `new connections, ${scale.others + 1} policies`,
        many,
        ({ connectsPerSecond }) => connectsPerSecond,
        "the same, and a rule for each policy that a first packet passes",
      ),
      ...answerRows("latency of answers, p50", few, ({ answerP50 }) => answerP50, rate),
      ...answerRows(
        "latency of answers, p99",
        few,
        ({ answerP99 }) => answerP99,
        "the scheduler: two programs in turns",
      ),
    ],
    facts: [
      mssFact(one),
      `One measurement is ${scale.seconds} s of iperf3, or ${scale.connections} connections one by one and ${scale.requests} requests of 64 bytes.`,
    ],
    problems,
    raw: { scale, one, eight, few, many },
  };
}
