import type { Problem } from "../model/args";
import { normalizeDestinations } from "../model/defaults";
import { type Range, rangeOf, rangesOf, subtract } from "../model/ranges";
import { destinationMembers } from "../model/selection";
import { deviceTowards, type Route, routesOf } from "./host";
import type { Looked } from "./look";
import type { PolicyState } from "./policy-waves";
import type { HostFacts } from "./snapshot";

const EVERYTHING = "0.0.0.0/0";

/** Destinations that the gateway node reaches by another device than its uplink would get no answers. */
export function routeProblems(state: PolicyState, looked: ReadonlyMap<string, Looked>): Problem[] {
  const holder = state.gateway.placement[state.egressIP] ?? "";
  const snapshot = looked.get(holder)?.snapshot;
  const node = snapshot?.claims.find((claim) => claim.kind === "node");
  if (!snapshot || node?.kind !== "node") return [];
  const { destinations, except } = normalizeDestinations(state.destinations);
  const whole = destinationMembers({ sources: [], destinations, except }).match;
  // Of everything nobody has named a part; networks that look forgotten there are told about with the node.
  const named = destinations.filter((cidr) => cidr !== EVERYTHING);
  const unselected = [...except, ...state.gateway.ignore];
  const wrong = [
    ...whole.map((cidr) => ({ cidr, device: deviceTowards(snapshot.host, cidr) })),
    ...named.flatMap((cidr) => detours(snapshot.host, cidr, node.uplink, unselected)),
  ].filter(({ device }) => device !== undefined && device !== node.uplink);
  return [...new Map(wrong.map((one) => [one.cidr, one])).values()].map(({ cidr, device }) => ({
    path: "destinations",
    message: `node ${holder} reaches ${cidr} by "${device}", but ${state.egressIP} is on its uplink "${node.uplink}": answers would not come back. Except it, or remove it from the destinations.`,
  }));
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
