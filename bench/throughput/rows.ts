import type { Row } from "../result";
import type { Rounds } from "../rounds";
import { median, pairedRatios, summarize } from "../statistics";
import { boundOf } from "./bound";
import type { PathName } from "./paths";
import type { Answers, Flow } from "./run";

/** What is compared: over, under, and in words. */
const pairs: readonly (readonly [PathName, PathName, string])[] = [
  ["gateway", "masquerade", "gateway / masquerade"],
  ["gateway", "noNat", "gateway / no NAT"],
  ["masquerade", "untouched", "unselected pod, node of the fleet / other"],
];

export function flowRows(what: string, flows: Rounds<PathName, Flow>): Row[] {
  return pairs.map(([over, under, words]) => ({
    what: `${what}: ${words}`,
    ratio: summarize(pairedRatios(flows[over].map(bits), flows[under].map(bits))),
    bound: boundOf(flows[over]),
  }));
}

export function answerRows(
  what: string,
  rounds: Rounds<PathName, Answers>,
  value: keyof Answers,
  bound: string,
): Row[] {
  const valuesOf = (name: PathName): (number | undefined)[] => rounds[name].map((one) => one?.[value]);
  return pairs.map(([over, under, words]) => ({
    what: `${what}: ${words}`,
    ratio: summarize(pairedRatios(valuesOf(over), valuesOf(under))),
    bound,
  }));
}

/** The segment size that TCP found on each path: what the tunnel takes off. */
export function mssFact(flows: Rounds<PathName, Flow>): string {
  const mss = (name: PathName): number => median(flows[name].flatMap((flow) => (flow ? [flow.mss] : [])));
  return `TCP segments carry ${mss("gateway")} bytes through the gateway and ${mss("masquerade")} by masquerade.`;
}

const bits = (flow: Flow | undefined): number | undefined => flow?.bitsPerSecond;
