import type { Problem } from "../model/args";
import { normalizeDestinations } from "../model/defaults";
import { type Range, rangeOf, rangesOf, subtract } from "../model/ranges";
import { destinationMembers } from "../model/selection";
import { deviceTowards, type Route, routesOf } from "./host";
import type { HostFacts } from "./host-facts";
import type { Looked } from "./look";
import type { PolicyState } from "./policy-state";
import { memory } from "./run-memory";
import type { Snapshot } from "./snapshot";

const EVERYTHING = "0.0.0.0/0";

/** Destinations that the gateway node reaches by another device than its uplink would get no answers. */
export function routeProblems(state: PolicyState, looked: ReadonlyMap<string, Looked>): Problem[] {
  const holder = state.gateway.placement[state.egressIP] ?? "";
  const snapshot = looked.get(holder)?.snapshot;
  const uplink = snapshot && uplinkOf(snapshot, state.gateway.id, holder);
  if (!snapshot || uplink === undefined) return [];
  const { destinations, except } = normalizeDestinations(state.destinations);
  const whole = destinationMembers({ sources: [], destinations, except }).match;
  // Of everything nobody has named a part; networks that look forgotten there are told about with the node.
  const named = destinations.filter((cidr) => cidr !== EVERYTHING);
  const unselected = [...except, ...state.gateway.ignore];
  const wrong = [
    ...whole.map((cidr) => ({ cidr, device: deviceTowards(snapshot.host, cidr) })),
    ...named.flatMap((cidr) => detours(snapshot.host, cidr, uplink, unselected)),
  ].filter(({ device }) => device !== undefined && device !== uplink);
  return [...new Map(wrong.map((one) => [one.cidr, one])).values()].map(({ cidr, device }) => ({
    path: "destinations",
    message: `node ${holder} reaches ${cidr} by "${device}", but ${state.egressIP} is on its uplink "${uplink}": answers would not come back. Except it, or remove it from the destinations.`,
  }));
}

/** As the node knows it; of one that is not enrolled yet, as the gateway of this run has it. */
function uplinkOf({ claims }: Snapshot, gateway: string, name: string): string | undefined {
  const node = claims.find((claim) => claim.kind === "node");
  if (node?.kind === "node") return node.uplink;
  return memory.gateways.get(gateway)?.wanted.gateways.find((one) => one.node === name)?.uplink;
}

/** Routes to parts of a network by another device than `uplink`, of which something is selected that no closer route decides. */
function detours(host: HostFacts, cidr: string, uplink: string, unselected: readonly string[]): Route[] {
  const network = rangeOf(cidr);
  const inside = routesOf(host).filter((route) => isInside(route, network));
  return inside.filter((route) => {
    if (route.device === uplink) return false;
    const closer = inside.filter((other) => isInside(other, route)).map((other) => other.cidr);
    return subtract([route], rangesOf([...unselected, ...closer])).length > 0;
  });
}

/** True for a smaller network in a larger one. */
const isInside = (small: Range, large: Range): boolean =>
  large.start <= small.start && small.end <= large.end && small.end - small.start < large.end - large.start;
