import type { Busy } from "../cpu";
import type { Row } from "../result";
import type { Rounds } from "../rounds";
import { pairedRatios, summarize } from "../statistics";
import { boundOf } from "../throughput/bound";
import type { PathName } from "./paths";

/** What is compared: over, under, and in words. */
const pairs: readonly (readonly [PathName, PathName, string])[] = [
  ["bpf", "iptables", "bpf / iptables"],
  ["bpf", "masquerade", "bpf / masquerade"],
  ["bpf", "noNat", "bpf / no NAT"],
  ["iptables", "masquerade", "iptables / masquerade"],
];

/** What bpf / masquerade and bpf / iptables are to come to, for what is better when it is more, or less. */
export interface Goal {
  readonly is: "more" | "less";
  readonly toMasquerade?: number;
}

/** A row for each pair of paths. `goal.toMasquerade` is what was aimed at against plain masquerade; against iptables it is 1. */
export function trafficRows<T>(
  what: string,
  rounds: Rounds<PathName, T>,
  value: (one: T) => number | undefined,
  goal: Goal,
  bound: string,
): Row[] {
  const valuesOf = (name: PathName) => rounds[name].map((one) => (one === undefined ? undefined : value(one)));
  return pairs.map(([over, under, words]) => ({
    what: `${what}: ${words}${goalText(goal, over, under)}`,
    ratio: summarize(pairedRatios(valuesOf(over), valuesOf(under))),
    bound,
  }));
}

function goalText({ is, toMasquerade }: Goal, over: PathName, under: PathName): string {
  const goal =
    over !== "bpf" ? undefined : under === "iptables" ? 1 : under === "masquerade" ? toMasquerade : undefined;
  return goal === undefined ? "" : ` (${is === "more" ? "≥" : "≤"} ${goal})`;
}

/** What the bpf path was bound by, as the cores tell. */
export const boundBy = (rounds: Rounds<PathName, { readonly busy: Busy }>): string => boundOf(rounds.bpf);
