import { hasPrograms } from "../compile/bpf";
import { tracksConnections } from "../compile/bpf-connections";
import { TUNNEL } from "../compile/names";
import type { Claim } from "../model/claim";
import { firstMeeting, rangeOf, rangesOf } from "../model/ranges";
import { isDeviceName } from "../model/rules/names";
import { type Route, routesOf } from "./host";
import type { HostFacts } from "./snapshot";

/**
 * The devices by which a node reaches pods directly that gateways with programs select, sorted: a veth each, or a bridge.
 * What is reached by a next hop is on another node.
 */
export function podDevices(claims: readonly Claim[], host: HostFacts): string[] {
  const node = claims.find((claim) => claim.kind === "node");
  const gateways = new Set(
    claims.flatMap((claim) =>
      claim.kind === "gateway" && (hasPrograms(claim) || tracksConnections(claim)) ? [claim.owner.id] : [],
    ),
  );
  if (node?.kind !== "node" || gateways.size === 0) return [];
  const sources = claims.flatMap((claim) => {
    if (claim.kind !== "policy") return [];
    return [claim, ...(claim.also ?? [])].flatMap((one) => (gateways.has(one.gateway) ? one.sources : []));
  });
  const selected = rangesOf(sources);
  const isOfPods = ({ cidr, device, isDirect }: Route): boolean =>
    isDirect &&
    ![node.uplink, TUNNEL, "lo"].includes(device) &&
    isDeviceName(device) &&
    firstMeeting([rangeOf(cidr)], selected) !== undefined;
  return [
    ...new Set(
      routesOf(host)
        .filter(isOfPods)
        .map(({ device }) => device),
    ),
  ].sort();
}
