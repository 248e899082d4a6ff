import { say } from "../progress";
import type { Figures, Row } from "../result";
import { inRounds, type Rounds } from "../rounds";
import { median, pairedRatios, summarize } from "../statistics";
import type { Cost } from "./cpu-rows";
import type { Scene } from "./lab";
import { type Path, programOf } from "./paths";

const sizes = [1, 100, 10_000, 100_000];
const names = ["bpf", "iptables", "masquerade"] as const;
type Name = (typeof names)[number];
/** What new connections cost each node, and how many there were a second. */
export interface Connects extends Cost {
  readonly perSecond: number;
}
type Costs = Rounds<Name, Connects>;

export interface Growth {
  readonly entries: number;
  readonly costs: Costs;
  /** Of the `up` that brought them to all nodes. */
  readonly seconds: number;
}

export interface GrowthScale {
  readonly rounds: number;
  readonly isQuick: boolean;
}

/** A new connection's cost to its nodes while policies get more and more sources: entries of the map here, members of the sets there. */
export async function growth(
  { lab, stack, paths }: Scene,
  measure: (path: Path) => Promise<Connects>,
  { rounds, isQuick }: GrowthScale,
  onLost: (lost: string) => void,
): Promise<Growth[]> {
  const grown: Growth[] = [];
  for (const entries of isQuick ? sizes.slice(0, -1) : sizes) {
    say(`cpu: programs ${entries} sources`);
    const began = Date.now();
    await stack.up(programOf(lab, entries));
    const seconds = (Date.now() - began) / 1000;
    const costs = await inRounds(names, (name) => measure(paths[name]), {
      count: rounds,
      onRound: (round) => say(`cpu: connections with ${entries} sources, round ${round} of ${rounds}`),
      onLost: (lost) => onLost(`${entries} sources, ${lost}`),
    });
    grown.push({ entries, costs, seconds });
  }
  return grown;
}

/** Against masquerading in the same round, where nothing grows. */
export function growthRows(grown: readonly Growth[]): Row[] {
  const ratioOf = (costs: Costs, name: Name, what: "client" | "perSecond") => {
    const values = (of: Name) => costs[of].map((one) => one?.[what]);
    return summarize(pairedRatios(values(name), values("masquerade")));
  };
  return grown.flatMap(({ entries, costs }) =>
    (["bpf", "iptables"] as const).flatMap((name) => [
      {
        what: `new connection, ${entries} sources: client node, ${name} / masquerade`,
        ratio: ratioOf(costs, name, "client"),
        bound: "CPU of this node alone",
      },
      {
        what: `new connections a second, ${entries} sources: ${name} / masquerade`,
        ratio: ratioOf(costs, name, "perSecond"),
        bound: "the threads of all devices, one after the other",
      },
    ]),
  );
}

export function growthFigures(grown: readonly Growth[]): Figures {
  const cell = (costs: Costs, name: Name, place: "client" | "gateway"): string =>
    (median(costs[name].flatMap((one) => one?.[place] ?? [])) / 1000).toFixed(1);
  return {
    title:
      "CPU time in µs of a new connection by sources of each datapath's policies, and the seconds of the up that brought them",
    heads: ["", "bpf client", "bpf gateway", "iptables client", "iptables gateway", "masquerade", "up"],
    rows: grown.map(({ entries, costs, seconds }) => [
      String(entries),
      cell(costs, "bpf", "client"),
      cell(costs, "bpf", "gateway"),
      cell(costs, "iptables", "client"),
      cell(costs, "iptables", "gateway"),
      cell(costs, "masquerade", "client"),
      seconds.toFixed(1),
    ]),
  };
}
