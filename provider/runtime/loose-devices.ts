import { TUNNEL } from "../compile/names";
import { contains } from "../model/address";
import type { Claim } from "../model/claim";
import { isDeviceName } from "../model/rules/names";
import { carriedPods } from "./carried-pods";
import { deviceTowards, routesOf } from "./host";
import type { HostFacts } from "./host-facts";

/** By which the pods of other nodes are reached: by a next hop, inside the cluster. */
export const devicesBetweenNodes = (ignore: readonly string[], host: HostFacts): string[] =>
  routesOf(host)
    .filter(({ cidr, isDirect }) => !isDirect && ignore.some((network) => contains(network, cidr)))
    .map(({ device }) => device);

/**
 * The devices of a machine by which answers of gateways with `answers: "cluster"` come, whose sources are outside and not routed by
 * them, as far as they would drop these: where it runs a gateway pod the pod's, and those by which the pods of other nodes are reached
 * where that is not the way to the outside. Each with the rp_filter that it has, that which it is to have, and where it has no address, one that it is lent; or as it is loosened already (`held`).
 */
export function looseDevices(
  claims: readonly Claim[],
  host: HostFacts,
  held: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const node = claims.find((claim) => claim.kind === "node");
  const gateways = claims.filter((claim) => claim.kind === "gateway" && claim.answers === "cluster");
  if (node?.kind !== "node" || node.netns !== undefined || gateways.length === 0) return {};
  const outward = deviceTowards(host, "0.0.0.0/0");
  const devices = [
    ...Object.values(carriedPods([node, ...gateways], host)),
    ...devicesBetweenNodes(node.fleet.ignore, host),
  ];
  return Object.fromEntries(
    [...new Set(devices)].sort().flatMap((device) => {
      const was = host.strict?.get(device);
      // Without an address on the device a loose filter drops as much as a strict one (kernel: fib_validate_source).
      const lent = host.addresses.some((one) => one.device === device) ? "" : ` ${node.underlay}`;
      const setting = held[device] ?? (was === undefined ? undefined : `${was} 2${lent}`);
      const isOurs = setting !== undefined && isDeviceName(device) && ![outward, TUNNEL, "lo"].includes(device);
      return isOurs ? [[device, setting]] : [];
    }),
  );
}
