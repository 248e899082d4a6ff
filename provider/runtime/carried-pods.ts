import { TUNNEL } from "../compile/names";
import { contains } from "../model/address";
import type { Claim } from "../model/claim";
import { isDeviceName } from "../model/rules/names";
import { type Route, routesOf } from "./host";
import type { HostFacts } from "./snapshot";

/** Address of each gateway pod that this machine runs → the device by which it is routed: a veth, or a bridge. */
export function carriedPods(claims: readonly Claim[], host: HostFacts): Readonly<Record<string, string>> {
  const node = claims.find((claim) => claim.kind === "node");
  if (node?.kind !== "node" || node.netns !== undefined) return {};
  const pods = claims.flatMap((claim) => (claim.kind === "gateway" ? Object.values(claim.nodes) : []));
  const addresses = pods.flatMap(({ pod, underlay }) => (pod ? [underlay] : []));
  return Object.fromEntries(
    [...new Set(addresses)].sort().flatMap((address) => {
      const route = routeTo(address, routesOf(host));
      const isHere =
        route?.isDirect && ![node.uplink, TUNNEL, "lo"].includes(route.device) && isDeviceName(route.device);
      return isHere ? [[address, route.device]] : [];
    }),
  );
}

function routeTo(address: string, routes: readonly Route[]): Route | undefined {
  const holding = routes.filter(({ cidr }) => contains(cidr, address));
  return holding.sort((a, b) => a.end - a.start - (b.end - b.start))[0];
}
