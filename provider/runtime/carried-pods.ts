import { TUNNEL } from "../compile/names";
import { contains } from "../model/address";
import type { Claim } from "../model/claim";
import { isDeviceName } from "../model/rules/names";
import { type Route, routesOf } from "./host";
import type { HostFacts } from "./host-facts";

/** Address of each gateway pod that this machine runs → the device by which it is routed: a veth, or a bridge. */
export function carriedPods(claims: readonly Claim[], host: HostFacts): Readonly<Record<string, string>> {
  const node = claims.find((claim) => claim.kind === "node");
  if (node?.kind !== "node" || node.netns !== undefined) return {};
  const pods = claims.flatMap((claim) => (claim.kind === "gateway" ? Object.values(claim.nodes) : []));
  const addresses = pods.flatMap(({ pod, underlay }) => (pod ? [underlay] : []));
  return Object.fromEntries(
    [...new Set(addresses)].sort().flatMap((address) => {
      const device = deviceOfPod(address, node.uplink, host);
      return device === undefined ? [] : [[address, device]];
    }),
  );
}

/** The device by which a machine reaches a pod of its own; undefined for a pod of another one. */
export function deviceOfPod(address: string, uplink: string, host: HostFacts): string | undefined {
  const route = routeTo(address, routesOf(host));
  if (!route?.isDirect || [uplink, TUNNEL, "lo"].includes(route.device)) return undefined;
  return isDeviceName(route.device) ? route.device : undefined;
}

/** The network and device of a pod of this machine that shares its device with others, as it is behind a bridge. */
export function sharedDevice(address: string, uplink: string, host: HostFacts): string | undefined {
  if (deviceOfPod(address, uplink, host) === undefined) return undefined;
  const route = routeTo(address, routesOf(host));
  return route && route.end - route.start > 1 ? `${route.cidr} dev ${route.device}` : undefined;
}

function routeTo(address: string, routes: readonly Route[]): Route | undefined {
  const holding = routes.filter(({ cidr }) => contains(cidr, address));
  return holding.sort((a, b) => a.end - a.start - (b.end - b.start))[0];
}
