import type { Figures, Row } from "../result";
import type { Rounds } from "../rounds";
import { median, pairedRatios, summarize } from "../statistics";
import type { PathName } from "./paths";

/** Nanoseconds that each node spent, on one packet, connection or request. */
export interface Cost {
  readonly client: number;
  readonly gateway?: number;
}

type Place = keyof Cost;

/** Over, under, at which node, and what was aimed at. */
const pairs: readonly (readonly [PathName, PathName, Place, string])[] = [
  ["bpf", "iptables", "client", " (≤ 1)"],
  ["bpf", "masquerade", "client", " (≤ 1)"],
  ["bpf", "noNat", "client", ""],
  ["iptables", "masquerade", "client", ""],
  ["bpf", "iptables", "gateway", " (≤ 1)"],
];

export function costRows(what: string, rounds: Rounds<PathName, Cost>): Row[] {
  const valuesOf = (path: PathName, place: Place) => rounds[path].map((one) => one?.[place]);
  return pairs.map(([over, under, place, goal]) => ({
    what: `${what}: ${place} node, ${over} / ${under === "noNat" ? "no NAT" : under}${goal}`,
    ratio: summarize(pairedRatios(valuesOf(over, place), valuesOf(under, place))),
    bound: "CPU of this node alone",
  }));
}

/** Medians in microseconds. */
export function costFigures(costs: Readonly<Record<string, Rounds<PathName, Cost>>>): Figures {
  const paths: readonly PathName[] = ["bpf", "iptables", "masquerade", "noNat"];
  const cell = (rounds: Rounds<PathName, Cost>, path: PathName, place: Place): string => {
    const values = rounds[path].flatMap((one) => one?.[place] ?? []);
    return values.length === 0 ? "" : (median(values) / 1000).toFixed(2);
  };
  return {
    title: "CPU time in µs",
    heads: ["", "bpf", "iptables", "masquerade", "no NAT"],
    rows: Object.entries(costs).flatMap(([what, rounds]) =>
      (["client", "gateway"] as const).map((place) => [
        `${what}: ${place} node`,
        ...paths.map((path) => cell(rounds, path, place)),
      ]),
    ),
  };
}
