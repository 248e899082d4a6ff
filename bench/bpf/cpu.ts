import { say } from "../progress";
import type { PartResult } from "../result";
import { inRounds, type Rounds } from "../rounds";
import { type Cost, costFigures, costRows } from "./cpu-rows";
import { growth, growthFigures, growthRows } from "./growth";
import { scene, verifyCarriers } from "./lab";
import { giveThreads, spent } from "./node-cpu";
import { type Path, type PathName, pathNames } from "./paths";

interface Scale {
  readonly rounds: number;
  readonly growthRounds: number;
  readonly datagramSeconds: number;
  /** Datagrams a second: few enough that no device's queue overflows. */
  readonly rate: number;
  readonly connections: number;
  readonly requests: number;
}

const full: Scale = {
  rounds: 15,
  growthRounds: 15,
  datagramSeconds: 0.5,
  rate: 20_000,
  connections: 1000,
  requests: 1500,
};
const quick: Scale = { ...full, rounds: 5, growthRounds: 3, datagramSeconds: 0.2, connections: 300, requests: 500 };

/** Of the packets that were sent so many have to arrive: else those that were dropped on the way would make the others look cheap. */
const ARRIVING = 0.95;

/** What a packet, a connection and a request cost each node on its own. */
export async function cpu(isQuick: boolean): Promise<PartResult> {
  const scale = isQuick ? quick : full;
  const all = await scene("benchcpu");
  const { lab, paths, sender } = all;
  say("cpu: gives every device a thread");
  const threads = await giveThreads(lab);
  await verifyCarriers(all);

  const problems: string[] = [];
  const step = (what: string, count: number, act: (path: Path) => Promise<unknown>): Promise<Rounds<PathName, Cost>> =>
    inRounds(pathNames, (name) => costOf(paths[name], count, act), {
      count: scale.rounds,
      onRound: (round) => say(`cpu: ${what}, round ${round} of ${scale.rounds}`),
      onLost: (lost) => problems.push(`${what}, ${lost}`),
    });
  const costOf = async (path: Path, count: number, act: (path: Path) => Promise<unknown>): Promise<Cost> => {
    const times = await spent(threads, [path.client, ...(path.gateway ? [path.gateway] : [])], () => act(path));
    const client = (times[path.client] ?? 0) / count;
    return path.gateway ? { client, gateway: (times[path.gateway] ?? 0) / count } : { client };
  };
  const packets = scale.rate * scale.datagramSeconds;
  const datagrams = await step("UDP", packets, async (path) => {
    const { perSecond } = await sender.datagrams(path, scale.datagramSeconds, scale.rate);
    if (perSecond < scale.rate * ARRIVING)
      throw new Error(`${Math.round(perSecond)} of ${scale.rate} packets a second arrived`);
  });
  const connect = (path: Path) => sender.connections(path, scale.connections);
  const connects = await step("connections", scale.connections, connect);
  const requests = await step("requests", scale.requests, (path) => sender.requests(path, scale.requests));
  const grown = await growth(
    all,
    async (path) => {
      let perSecond = 0;
      const cost = await costOf(path, scale.connections, async () => {
        ({ perSecond } = await connect(path));
      });
      return { ...cost, perSecond };
    },
    { rounds: scale.growthRounds, isQuick },
    (lost) => problems.push(lost),
  );
  const costs = { "UDP packet": datagrams, "new connection": connects, "request and answer": requests };
  return {
    title: "cpu: time of each node on its own (under 1: less); goals in brackets",
    rows: [...Object.entries(costs).flatMap(([what, rounds]) => costRows(what, rounds)), ...growthRows(grown)],
    figures: [costFigures(costs), growthFigures(grown)],
    facts: [
      "How: each veth device has a kernel thread (threaded NAPI) that does what follows a receipt, up to the next device's thread; a node's time is that of its devices' threads, by the scheduler's clock.",
      "Limits: waking the next thread is in it, once a batch, on every path alike; GRO is on for that and TSO off, so it says nothing of streams; what a pod's own process spends is not in it.",
      `One measurement: ${packets} datagrams, ${scale.rate} a second; ${scale.connections} connections; ${scale.requests} requests.`,
    ],
    problems,
    raw: { scale, ...costs, grown },
  };
}
