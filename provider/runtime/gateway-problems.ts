import { cidrOf } from "../kernel/address";
import { contains } from "../model/address";
import type { EgressGatewayArgs, Problem } from "../model/args";
import type { Claim, GatewayClaim } from "../model/claim";
import { expandEgressIPs } from "../model/defaults";
import { rangeOf } from "../model/ranges";
import type { RegistryEntry } from "../program/registry";
import { settingsOf } from "./fleet-settings";
import { podProblems } from "./gateway-pods";
import { fleetOf, pathOf, registryRefOf } from "./gateway-state";
import { deviceTowards } from "./host";
import type { HostFacts } from "./host-facts";
import { type Label, labelText } from "./label";
import type { Looked } from "./look";
import { isOwnStack } from "./owner";
import { podRouteProblems } from "./pod-routes";
import { podsAsSources } from "./pod-sources";
import { inner, memory } from "./run-memory";
import type { Snapshot } from "./snapshot";
import { unreadProblems } from "./unread-programs";

/** What an EgressGateway wants, and what its nodes look like now. */
export interface Situation {
  readonly args: EgressGatewayArgs;
  /** Its egress IPs one by one. */
  readonly ips: readonly string[];
  /** Egress IP → the node that is to hold it. */
  readonly placement: Readonly<Record<string, string>>;
  readonly label: Label;
  readonly ownerId: string;
  /** Nodes that have it already; none before the first create. */
  readonly known: ReadonlySet<string>;
  /** True if it has to claim an egress IP that it does not have. */
  readonly isClaiming: boolean;
  readonly looked: ReadonlyMap<string, Looked>;
  /** The node that keeps the fleet's registry. */
  readonly registry: Looked;
}

/** Everything that would fail in `up`, or work and mislead, refused in preview. */
export function gatewayProblems(situation: Situation): Problem[] {
  return [
    unreachable,
    claimProblems,
    toolProblems,
    uplinkProblems,
    networkProblems,
    tunnelProblems,
    droppedProblems,
    ({ args, placement, ips, looked }: Situation) => podProblems(args, ips, placement, looked),
    ({ args, placement, looked }: Situation) => podsAsSources(args, placement, looked),
    ({ args, looked }: Situation) => podRouteProblems(args, looked),
    ({ args, looked }: Situation) => unreadProblems(looked, (node) => pathOf(args, node)),
  ].flatMap((rule) => rule(situation));
}

/** Where the gateway has never been it must be put; a known node that can't be reached is drift instead. */
function unreachable({ args, looked, known, isClaiming, registry }: Situation): Problem[] {
  const keeper = registryRefOf(args)?.node ?? "";
  const isTold = looked.has(keeper) && !known.has(keeper);
  const nodes = [...looked].flatMap(([node, { error }]): Problem[] => {
    if (!error || known.has(node)) return [];
    const message = `${error.message}. The gateway has never been on this node: make it reachable, or leave it out.`;
    return [{ path: pathOf(args, node), message }];
  });
  if (!isClaiming || !registry.error || isTold) return nodes;
  const message = `${registry.error.message}. No egress IP can be claimed while the fleet's registry can't be reached.`;
  return [...nodes, { path: "egressIPs", message }];
}

/** An egress IP has one owner in a fleet: in this run, and in the registry. */
function claimProblems({ args, ips, label, ownerId, looked, registry }: Situation): Problem[] {
  const inRun = inner(memory.egressIPs, fleetOf(args));
  const entries = registry.snapshot?.registry.get(fleetOf(args)) ?? [];
  const placed = [...looked.values()].flatMap(({ snapshot }) => snapshot?.claims ?? []).filter(isPlacement);
  return ips.flatMap((ip): Problem[] => {
    const inThisRun = inRun.get(ip);
    inRun.set(ip, inThisRun ?? label.name);
    const holder =
      inThisRun !== undefined && inThisRun !== label.name
        ? `gateway ${inThisRun} of this run`
        : (foreignHolder(entries, ip, ownerId) ?? foreignPlacement(placed, ip));
    return holder === undefined
      ? []
      : [{ path: "egressIPs", message: `${ip} is already held by ${holder} in fleet "${fleetOf(args)}".` }];
  });
}

/** An address that another gateway of this very stack holds may be on its way: that one is judged by this run's inputs. */
function foreignHolder(registry: readonly RegistryEntry[], ip: string, ownerId: string): string | undefined {
  const entry = registry.find(({ key, owner }) => key === `ip-${ip}` && owner !== ownerId);
  return entry && !isOwnStack(entry.holder) ? entry.holder : undefined;
}

const isPlacement = (claim: Claim): claim is GatewayClaim =>
  claim.kind === "gateway" && !isOwnStack(labelText(claim.owner));

/** What nodes know of gateways of other stacks: a registry that was lost does not know them all. */
function foreignPlacement(gateways: readonly GatewayClaim[], ip: string): string | undefined {
  const holder = gateways.find(({ placement }) => placement[ip] !== undefined);
  return holder && labelText(holder.owner);
}

/** Without arping a second holder of an egress IP would not be found, nor a new one be heard of. */
function toolProblems({ args, looked }: Situation): Problem[] {
  return args.gateways.flatMap(({ node, connection }, i): Problem[] => {
    if (connection.netns !== undefined || !looked.get(node)?.snapshot?.host.missingTools.includes("arping")) return [];
    const message = `node ${node} has no arping of iputils, which looks for a second holder of an egress IP and announces it. Install iputils-arping; what Debian calls "arping" is another tool.`;
    return [{ path: `gateways[${i}]`, message }];
  });
}

/** What a network of the uplink keeps for itself is no egress IP: its first and last address, and next hops. */
function networkProblems({ args, ips, looked }: Situation): Problem[] {
  return args.gateways.flatMap(({ node, uplink, connection }): Problem[] => {
    const snapshot = looked.get(node)?.snapshot;
    if (!snapshot || connection.netns !== undefined) return [];
    const { host } = snapshot;
    const networks = host.addresses
      .filter(({ device }) => device === uplink)
      .map((address) => ({ ...rangeOf(address.cidr), address }))
      .filter(({ start, end }) => end - start > 2);
    const hops = new Set(host.routes.flatMap((line) => / via (\S+)/.exec(line)?.[1] ?? []));
    return ips.flatMap((ip): Problem[] => {
      const at = rangeOf(`${ip}/32`).start;
      const edge = networks.find(
        ({ start, end, address }) => (at === start || at === end - 1) && !isOurs(snapshot, address),
      );
      const what = edge ? `the network or broadcast address of ${edge.cidr}` : hops.has(ip) ? "a next hop" : undefined;
      return what === undefined
        ? []
        : [{ path: "egressIPs", message: `${ip} is ${what} on node ${node}. Give another address.` }];
    });
  });
}

/** True for an address of ours, which somebody may have given another length: that is drift. */
const isOurs = ({ actual }: Snapshot, { device, cidr }: HostFacts["addresses"][number]): boolean =>
  actual.some((o) => o.kind === "address" && o.device === device && cidrOf(o) === cidr);

/** An egress IP must be free on its nodes, and the way out must lead through the device that announces it. */
function uplinkProblems({ args, ips, looked }: Situation): Problem[] {
  return args.gateways.flatMap(({ node, uplink, connection }, i): Problem[] => {
    const snapshot = looked.get(node)?.snapshot;
    if (!snapshot) return [];
    const outward = deviceTowards(snapshot.host, "0.0.0.0/0");
    const own = snapshot.host.addresses.find(
      (address) =>
        connection.netns === undefined && ips.includes(address.cidr.split("/")[0] ?? "") && !isOurs(snapshot, address),
    );
    return [
      ...(outward !== undefined && outward !== uplink
        ? [
            {
              path: `gateways[${i}]`,
              message: `node ${node} reaches the outside by "${outward}", but its uplink is "${uplink}": an egress IP there would get no answers.`,
            },
          ]
        : []),
      ...(own
        ? [
            {
              path: "egressIPs",
              message: `${own.cidr} is already an address of node ${node} (${own.device}). An egress IP must not be a node's own address.`,
            },
          ]
        : []),
    ];
  });
}

/** An egress IP is none of the tunnel's own addresses. */
function tunnelProblems({ args, looked }: Situation): Problem[] {
  const settings = settingsOf(fleetOf(args), looked);
  if (!settings) return [];
  return args.egressIPs.flatMap((range, i): Problem[] => {
    const ip = expandEgressIPs([range]).find((address) => contains(settings.tunnelCIDR, address));
    return ip === undefined
      ? []
      : [
          {
            path: `egressIPs[${i}]`,
            message: `"${ip}" is in ${settings.tunnelCIDR}, the tunnel's own network (fleet.tunnelCIDR). Give an address outside.`,
          },
        ];
  });
}

/** An egress IP that a policy of another stack uses can't be taken away; policies of this stack are judged by their own check. */
function droppedProblems({ ips, ownerId, looked }: Situation): Problem[] {
  const users = new Map<string, string>();
  for (const { snapshot } of looked.values()) {
    for (const claim of snapshot?.claims ?? []) {
      const isForeign = !isOwnStack(labelText(claim.owner));
      if (claim.kind === "policy" && claim.gateway === ownerId && isForeign && !ips.includes(claim.egressIP))
        users.set(labelText(claim.owner), claim.egressIP);
    }
  }
  return [...users].map(([user, ip]) => ({
    path: "egressIPs",
    message: `${ip} is still used by policy ${user}. Move that policy to another egress IP first.`,
  }));
}
