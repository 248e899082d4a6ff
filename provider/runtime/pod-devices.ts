import { loadsPrograms } from "../compile/bpf";
import { TUNNEL } from "../compile/names";
import type { Claim } from "../model/claim";
import { firstMeeting, rangeOf, rangesOf } from "../model/ranges";
import { isDeviceName } from "../model/rules/names";
import { type Route, routesOf } from "./host";
import type { HostFacts } from "./host-facts";

/** The devices of pods that take a program, sorted. */
export const podDevices = (claims: readonly Claim[], host: HostFacts, uplink = uplinkOf(claims)): string[] =>
  devicesTowardsPods(claims, host, uplink).filter((device) => obstacleOn(device, host) === undefined);

/** The others, each with what keeps it from that. */
export const devicesLeftOut = (claims: readonly Claim[], host: HostFacts): [device: string, why: string][] =>
  devicesTowardsPods(claims, host, uplinkOf(claims)).flatMap((device): [string, string][] => {
    const why = obstacleOn(device, host);
    return why === undefined ? [] : [[device, why]];
  });

function uplinkOf(claims: readonly Claim[]): string | undefined {
  const node = claims.find((claim) => claim.kind === "node");
  return node?.kind === "node" ? node.uplink : undefined;
}

/** What keeps a clsact of its own off a device, as a node tells it; and what tc calls it. */
const QDISCS: Readonly<Record<string, { readonly is: string; readonly name: string }>> = {
  qdisc: { is: "an ingress qdisc", name: "ingress" },
  clsact: { is: "a clsact that shares its filters with other devices", name: "clsact" },
};
export const isQdisc = (by: string): boolean => by in QDISCS;
export const qdiscOn = (device: string, { taken }: HostFacts): (typeof QDISCS)[string] | undefined =>
  taken.flatMap((hook) => (hook.device === device ? (QDISCS[hook.by] ?? []) : []))[0];

/** Programs read Ethernet headers, and stand in front of all filters: what those would do to a packet, as a limit of the CNI does, is to be done. */
function obstacleOn(device: string, host: HostFacts): string | undefined {
  const link = host.notEthernet.get(device);
  if (link !== undefined) return `link/${link}, no Ethernet`;
  const qdisc = qdiscOn(device, host);
  if (qdisc) return qdisc.is;
  const by = [...new Set(host.taken.filter((hook) => hook.device === device).map((hook) => hook.by))];
  return by.length > 0 ? `${by.join(" and ")} filters` : undefined;
}

/**
 * The devices by which a node reaches pods directly that gateways with programs select, sorted: a veth each, or a bridge.
 * What is reached by a next hop is on another node.
 */
function devicesTowardsPods(claims: readonly Claim[], host: HostFacts, uplink: string | undefined): string[] {
  const gateways = new Set(
    claims.flatMap((claim) => (claim.kind === "gateway" && loadsPrograms(claim) ? [claim.owner.id] : [])),
  );
  if (uplink === undefined || gateways.size === 0) return [];
  const sources = claims.flatMap((claim) => {
    if (claim.kind !== "policy") return [];
    return [claim, ...(claim.also ?? [])].flatMap((one) => (gateways.has(one.gateway) ? one.sources : []));
  });
  const selected = rangesOf(sources);
  const isOfPods = ({ cidr, device, isDirect }: Route): boolean =>
    isDirect &&
    ![uplink, TUNNEL, "lo"].includes(device) &&
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
