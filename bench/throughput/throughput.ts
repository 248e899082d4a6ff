import { type Lab, labDown, labUp } from "../../test/lab";
import { Operator } from "../../test/operator/operator";
import { Stack } from "../../test/operator/stack";
import { atEnd } from "../cleanup";
import { say } from "../progress";
import type { PartResult } from "../result";
import { inRounds, type Rounds } from "../rounds";
import { excludeFromMasquerade, type Path, type PathName, pathNamed, pathNames, pathsOf, programOf } from "./paths";
import { answerRows, flowRows, mssFact } from "./rows";
import { answers, flow } from "./run";
import { startServers } from "./servers";
import { verifyPaths } from "./verify";

const NAME = "benchflow";

interface Scale {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly requests: number;
}

const full: Scale = { rounds: 8, seconds: 2, connections: 800, requests: 4000 };
const quick: Scale = { rounds: 3, seconds: 1, connections: 200, requests: 1000 };

/** So many policies are on the nodes when connections are counted for the second time. */
const MANY = 200;

/** A pod through the gateway against other ways out, on one lab in one run. */
export async function throughput(isQuick: boolean): Promise<PartResult> {
  const scale = isQuick ? quick : full;
  const { lab, stack } = await programmedLab();
  const paths = pathsOf(lab);
  await verifyPaths(lab, paths);

  const problems: string[] = [];
  const step = <T>(what: string, measure: (path: Path) => Promise<T>): Promise<Rounds<PathName, T>> =>
    inRounds(pathNames, (name) => measure(pathNamed(paths, name)), {
      count: scale.rounds,
      onRound: (round) => say(`throughput: ${what}, round ${round} of ${scale.rounds}`),
      onLost: (lost) => problems.push(`${what}, ${lost}`),
    });
  const ask = (path: Path) => answers(lab, path, scale.connections, scale.requests);
  const one = await step("TCP, 1 stream", (path) => flow(lab, path, 1, scale.seconds));
  const eight = await step("TCP, 8 streams", (path) => flow(lab, path, 8, scale.seconds));
  const few = await step("connections and requests", ask);
  say(`throughput: ${MANY - 1} more policies on the same nodes`);
  await stack.up(programOf(lab, MANY));
  await verifyPaths(lab, paths);
  const many = await step(`connections and requests, ${MANY} policies`, ask);
  await verifyPaths(lab, paths);

  return {
    title: "throughput: bytes and connections a second (over 1: faster), latency (over 1: slower)",
    rows: [
      ...flowRows("TCP, 1 stream", one),
      ...flowRows("TCP, 8 streams", eight),
      ...answerRows("new connections", few, "connectsPerSecond", "one client: latency of all hops"),
      ...answerRows(`same, ${MANY} policies`, many, "connectsPerSecond", "and a rule a policy for each first packet"),
      ...answerRows("answer, p50", few, "answerP50", "one client: latency of all hops"),
      ...answerRows("answer, p99", few, "answerP99", "the scheduler"),
    ],
    facts: [
      "On an iptables node with a fleet's base, a gateway and one policy; all hosts share this machine's cores.",
      mssFact(one),
      `One measurement: ${scale.seconds} s of iperf3; or ${scale.connections} connections one by one, ${scale.requests} requests of 64 bytes.`,
    ],
    problems,
    raw: { scale, one, eight, few, many },
  };
}

async function programmedLab(): Promise<{ lab: Lab; stack: Stack }> {
  say("throughput: builds a lab of 2 client nodes and a gateway node");
  await labDown(NAME);
  atEnd(() => labDown(NAME));
  const lab = await labUp({ name: NAME, clients: 2, gateways: 1 });
  const operator = Operator.start(lab);
  atEnd(() => operator.stop());
  const stack = new Stack(operator);
  await stack.up(programOf(lab, 1));
  await excludeFromMasquerade(lab);
  await startServers(lab);
  return { lab, stack };
}
