import { egressIPEntry, fleetEntry, peerEntry, policyEntry, sourceEntry, underlayEntry } from "../kernel/bpf-entry";
import {
  GATEWAY_EXCLUDED,
  GATEWAY_NONE,
  LAYOUT_VERSION,
  MAPS,
  type Member,
  OBJECTS,
  type ObjectName,
} from "../kernel/bpf-layout";
import type { BpfMap } from "../kernel/bpf-map";
import type { KernelObject, Owned } from "../kernel/state";
import type { TcFilter } from "../kernel/tc-filter";
import type { GatewayClaim, NodeClaim, PeerNode } from "../model/claim";
import { tunnelMac } from "../model/mark";
import { compileConnections, tracksConnections } from "./bpf-connections";
import { type PolicyRule, policyEntries } from "./bpf-policies";
import { shortHash, TUNNEL } from "./names";
import { type NodeFacts, type NodeView, own, type PlacedPolicy, peersOf } from "./view";

/** The programs, maps and entries of a node that has to do with a gateway whose datapath is bpf. */
export function compilePrograms(view: NodeView): Owned[] {
  const { node, facts } = view;
  const roles = rolesOf(view);
  const connections = compileConnections(view);
  const objects: ObjectName[] = [...roles, ...(connections.length > 0 ? ["connections" as const] : [])];
  const maps = [...new Set(objects.flatMap((name) => OBJECTS[name].maps))];
  const base: KernelObject[] = [
    ...maps.flatMap(mapOf),
    ...roles.map((object) => ({
      kind: "bpf-program" as const,
      object,
      hash: hashOf(object, view),
      devices: [TUNNEL, node.uplink],
      programs: [...OBJECTS[object].programs].sort(),
    })),
  ];
  const filters = roles.flatMap((role) => filtersOf(role, node, facts.podDevices ?? [], hashOf(role, view)));
  return [
    ...own(ownerOf(view), ...base, ...filters),
    ...connections,
    ...(objects.length === 0 ? [] : policiesOf(view)),
    ...(roles.includes("client") ? peers(view) : []),
    ...(roles.includes("gateway") ? [...egressIPs(view), ...fleet(view)] : []),
  ];
}

function mapOf(name: string): BpfMap[] {
  const shape = MAPS[name];
  if (!shape) return [];
  const { type, key, value, entries, flags } = shape;
  return [{ kind: "bpf-map", version: LAYOUT_VERSION, name, type, key, value, entries, flags }];
}

const withPrograms = (view: NodeView) => view.gateways.filter(hasPrograms);
/** Answers that come by the cluster's own routes are the stack's. */
export const hasPrograms = ({ datapath, answers }: GatewayClaim): boolean =>
  datapath === "bpf" && answers !== "cluster";
/** Whether nodes have programs for it at all, of either kind. */
export const loadsPrograms = (gateway: GatewayClaim): boolean => hasPrograms(gateway) || tracksConnections(gateway);
/** The first of the gateways that need the programs. */
const ownerOf = (view: NodeView): string =>
  (withPrograms(view)[0] ?? view.gateways.find(tracksConnections))?.owner.id ?? "";

/** What a node does for gateways with programs: it sends to other gateway nodes, or is one. Where the egress IPs are just now is no matter. */
function rolesOf(view: NodeView): ObjectName[] {
  // In a pod there are none: they are on the nodes around it.
  if (view.node.netns !== undefined) return [];
  const isGateway = withPrograms(view).some(({ nodes }) => nodes[view.node.node]?.gateway);
  return [...(otherGateways(view).length > 0 ? ["client" as const] : []), ...(isGateway ? ["gateway" as const] : [])];
}

/** The gateway nodes that this one can send to, each with the gateway's owner. */
function otherGateways(view: NodeView): { readonly owner: string; readonly peer: PeerNode }[] {
  return withPrograms(view).flatMap(({ owner, nodes }) =>
    Object.entries(nodes).flatMap(([name, peer]) =>
      peer.gateway && name !== view.node.node ? [{ owner: owner.id, peer }] : [],
    ),
  );
}

/** Constants of an object that are known beforehand; the numbers of its devices are put in on the node. */
export function constantsOf(
  node: NodeClaim,
): Readonly<Record<string, { readonly type: Member; readonly value: unknown }>> {
  return {
    tunnel_mtu: { type: "u32", value: node.mtu },
    tunnel_vni: { type: "u32", value: node.fleet.vni },
    tunnel_mac: { type: "mac", value: tunnelMac(node.index) },
    tunnel_port: { type: "port", value: node.fleet.tunnelPort },
    node_address: { type: "address", value: node.underlay },
  };
}

/** What tells an object with these constants from every other one. */
export const programHash = (object: ObjectName, node: NodeClaim, digests: NodeFacts["objects"]): string =>
  shortHash(JSON.stringify([digests?.[object], constantsOf(node)]));
const hashOf = (object: ObjectName, { node, facts }: NodeView): string => programHash(object, node, facts.objects);

/** Where each program stands. On one hook those of the client role come first, and `from_outside` last. */
function filtersOf(object: ObjectName, { uplink }: NodeClaim, podDevices: readonly string[], hash: string): TcFilter[] {
  const filter = (device: string, direction: TcFilter["direction"], program: string): TcFilter => ({
    kind: "tc-filter",
    device,
    direction,
    program,
    of: `${object} ${hash}`,
    behind: [],
  });
  if (object === "gateway")
    return [
      filter(TUNNEL, "ingress", "from_client"),
      filter(uplink, "ingress", "uplink_gateway"),
      filter(uplink, "ingress", "from_outside"),
      filter(uplink, "egress", "to_outside"),
    ];
  return [
    ...podDevices.map((device) => filter(device, "ingress", "from_pod")),
    filter(TUNNEL, "egress", "to_tunnel"),
    filter(TUNNEL, "ingress", "from_gateway"),
    filter(uplink, "ingress", "uplink_client"),
  ];
}

function policiesOf(view: NodeView): Owned[] {
  const { node, policies } = view;
  const never = [
    ...node.fleet.ignore,
    ...[node.underlay, ...peersOf(view).map(({ underlay }) => underlay)].map((address) => `${address}/32`),
  ];
  // As in the chains what a policy selects now comes before what it still selects, and what has a way out before what has none.
  const lateness = ({ isFormer, at }: PlacedPolicy): number => Number(isFormer) + (at === "nowhere" ? 2 : 0);
  const entries = policyEntries(
    [...policies].sort((a, b) => lateness(a) - lateness(b)).map((placed) => ruleOf(placed, view)),
    never,
  );
  return [
    ...entries.policies.flatMap(({ owner, source, destination, egressIP, gateway }) => {
      const [address = "", length] = destination.split("/");
      return own(
        owner,
        policyEntry({ source, destination: address }, Number(length), { egress_ip: egressIP, gateway }),
      );
    }),
    ...entries.sources.flatMap(({ owner, network, class: group }) => {
      const [source = "", length] = network.split("/");
      return own(owner, sourceEntry({ source, prefix_length: Number(length) }, group));
    }),
  ];
}

/** A policy of a gateway without programs is an exception for them: its packets are left to the stack. */
function ruleOf(placed: PlacedPolicy, view: NodeView): PolicyRule {
  const { policy, gateway, destinations, sets } = placed;
  const isLeft = !loadsPrograms(gateway);
  return {
    id: sets.source,
    owner: policy.owner.id,
    sources: policy.sources,
    match: destinations.match,
    nomatch: destinations.nomatch,
    egressIP: isLeft ? "0.0.0.0" : policy.egressIP,
    gateway: isLeft ? GATEWAY_EXCLUDED : endpointOf(placed, view),
  };
}

function endpointOf({ at, peer, gateway }: PlacedPolicy, { node }: NodeView): string {
  if (at === "here") return node.underlay;
  const holder = Object.values(gateway.nodes).find(({ index }) => at === "peer" && index === peer);
  return holder?.underlay ?? GATEWAY_NONE;
}

function peers(view: NodeView): Owned[] {
  return otherGateways(view).flatMap(({ owner, peer: { underlay, index } }) =>
    own(owner, peerEntry(underlay, tunnelMac(index)), underlayEntry(tunnelMac(index), underlay)),
  );
}

function egressIPs(view: NodeView): Owned[] {
  return withPrograms(view).flatMap(({ owner, placement }) =>
    Object.entries(placement)
      .filter(([, holder]) => holder === view.node.node)
      .flatMap(([address]) => own(owner.id, egressIPEntry(address))),
  );
}

/** The nodes that may send into the tunnel, as the set of peers has them. */
const fleet = (view: NodeView): Owned[] =>
  peersOf(view).flatMap(({ owner, underlay }) => own(owner, fleetEntry(underlay)));
