import { contains, overlaps, parseNetwork } from "../model/address";
import type { NodeMarkArgs, Problem } from "../model/args";
import { normalizeFleet } from "../model/defaults";
import { quote } from "../model/problem";
import { type NetworkRange, rangeOf } from "../model/ranges";
import { DEVICE_NAMES, isDeviceName } from "../model/rules/names";
import type { HostFacts } from "./host-facts";
import { unreadPrograms } from "./unread-programs";

/** The others are needed by some gateways only, or can be done without. */
const REQUIRED = new Set([
  "ip",
  "iptables-restore",
  "iptables-save",
  "ipset",
  "conntrack",
  "awk",
  "sha256sum",
  "flock",
  "timeout",
]);

/** What on this host would make the datapath fail: refused in preview, with the way out. */
export function hostProblems(host: HostFacts, args: NodeMarkArgs, uplink: string | undefined): Problem[] {
  const at = (path: string, message: string): Problem => ({ path, message: `node ${args.node}: ${message}` });
  const fleet = normalizeFleet(args.fleet);
  const required = host.missingTools.filter((tool) => REQUIRED.has(tool));
  const inTunnel = networksOf(host).filter(
    ({ cidr, device }) => device !== "egw.vxlan" && overlaps(cidr, fleet.tunnelCIDR),
  );
  return [
    ...(required.length > 0
      ? [
          at(
            "connection",
            `${required.join(", ")} not found. Install iproute2, iptables, ipset, conntrack and util-linux there.`,
          ),
        ]
      : []),
    ...[unreadPrograms(host)].flatMap((reason) => (reason === undefined ? [] : [at("connection", reason)])),
    ...(host.ipForward ? [] : [at("node", "net.ipv4.ip_forward is 0, so it forwards nothing. Set it to 1.")]),
    ...(host.srcValidMark
      ? [
          at(
            "node",
            "net.ipv4.conf.all.src_valid_mark is 1 (wg-quick sets it), so strict rp_filter would drop marked packets. Set it to 0.",
          ),
        ]
      : []),
    ...(uplink === undefined
      ? [
          at(
            "underlayIP",
            `no device has ${args.underlayIP}. Its addresses are ${host.addresses.map(({ cidr }) => cidr).join(", ")}.`,
          ),
        ]
      : []),
    ...(uplink !== undefined && host.mtus[uplink] === undefined
      ? [at("uplink", `there is no device "${uplink}". There are ${Object.keys(host.mtus).join(", ")}.`)]
      : []),
    ...(uplink !== undefined && !isDeviceName(uplink)
      ? [at("uplink", `the device with ${args.underlayIP} is named ${quote(uplink)}. ${DEVICE_NAMES} Rename it.`)]
      : []),
    ...inTunnel
      .slice(0, 1)
      .map(({ cidr, device }) =>
        at("fleet.tunnelCIDR", `${fleet.tunnelCIDR} overlaps ${cidr} on ${device}. Choose another network.`),
      ),
  ];
}

/** The device that holds the underlay address. */
export function uplinkOf(host: HostFacts, underlayIP: string): string | undefined {
  return host.addresses.find(({ cidr }) => cidr.split("/")[0] === underlayIP)?.device;
}

/** Networks that the node itself reaches, and addresses that it has, which ignore does not name: probably forgotten. They are named, not refused. */
export function forgottenNetworks(host: HostFacts, args: NodeMarkArgs, egressIPs: readonly string[]): string[] {
  const { ignore, tunnelCIDR } = normalizeFleet(args.fleet);
  const known = [...ignore, ...egressIPs.map((ip) => `${ip}/32`), tunnelCIDR, "127.0.0.0/8", "169.254.0.0/16"];
  const found = networksOf(host).filter(
    ({ cidr, device }) => device !== "egw.vxlan" && !known.some((network) => contains(network, cidr)),
  );
  return [...new Set(found.map(({ cidr, device }) => `${cidr} (${device})`))];
}

export function warnForgotten(host: HostFacts, args: NodeMarkArgs, egressIPs: readonly string[]): void {
  const forgotten = forgottenNetworks(host, args, egressIPs);
  if (forgotten.length === 0) return;
  console.warn(
    `node ${args.node}: ${forgotten.join(", ")}: the node has routes or addresses there that are not in fleet.ignore; selected pods would reach them by an egress IP.`,
  );
}

interface HostNetwork {
  readonly cidr: string;
  readonly device: string;
}

function networksOf(host: HostFacts): HostNetwork[] {
  const routes = host.routes.flatMap((line): HostNetwork[] => {
    const [target = "", ...words] = line.split(/\s+/);
    const network = parseNetwork(target);
    const device = words[words.indexOf("dev") + 1] ?? "";
    return network && words.includes("dev") ? [{ cidr: target.includes("/") ? target : `${target}/32`, device }] : [];
  });
  const addresses = host.addresses.map(({ device, cidr }) => ({
    cidr: `${cidr.split("/")[0] ?? ""}/32`,
    device,
  }));
  return [...routes, ...addresses];
}

/** The device by which this host reaches a destination: the longest prefix among its main routes. */
export function deviceTowards(host: HostFacts, cidr: string): string | undefined {
  let best: Route | undefined;
  const { start, end } = rangeOf(cidr);
  for (const route of routesOf(host))
    if (route.start <= start && end <= route.end && (!best || route.end - route.start < best.end - best.start))
      best = route;
  return best?.device;
}

export interface Route extends NetworkRange {
  readonly device: string;
  /** Without a next hop. */
  readonly isDirect: boolean;
}

const known = new WeakMap<HostFacts, readonly Route[]>();

/** The main routes of a host that lead out by a device. Of several to one network the first, which has the best metric. */
export function routesOf(host: HostFacts): readonly Route[] {
  const found = known.get(host) ?? parseRoutes(host.routes);
  known.set(host, found);
  return found;
}

function parseRoutes(lines: readonly string[]): Route[] {
  const routes = new Map<string, Route>();
  for (const line of lines) {
    const [target = "", ...words] = line.split(/\s+/);
    const cidr = target === "default" ? "0.0.0.0/0" : target.includes("/") ? target : `${target}/32`;
    const device = words.includes("dev") ? words[words.indexOf("dev") + 1] : undefined;
    if (device !== undefined && parseNetwork(cidr) && !routes.has(cidr))
      routes.set(cidr, { ...rangeOf(cidr), device, isDirect: !words.includes("via") });
  }
  return [...routes.values()];
}
