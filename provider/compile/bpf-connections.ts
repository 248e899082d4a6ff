import { podEntry } from "../kernel/bpf-entry";
import { EGRESS_FLAGS, type Member, OBJECTS } from "../kernel/bpf-layout";
import type { BpfProgram } from "../kernel/bpf-program";
import type { Owned } from "../kernel/state";
import type { TcFilter } from "../kernel/tc-filter";
import type { Claim, GatewayClaim, NodeClaim } from "../model/claim";
import { carriedPods } from "./carried";
import { shortHash, TUNNEL } from "./names";
import { type NodeFacts, type NodeView, own } from "./view";

/** Whose device a program of connections.bpf.c is attached to: never a pod's that asks by gateway pods and is one. */
export type Role =
  | { readonly isClient?: undefined; readonly gatewayPod?: undefined }
  /** Its pod asks by gateway pods. */
  | { readonly isClient: true; readonly gatewayPod?: undefined }
  /** Its pod is a gateway pod, with this address. */
  | { readonly isClient?: undefined; readonly gatewayPod: string };

/** Where the programs are attached: the device of a pod, or one by which nodes reach each other. */
type ConnectionPlace = Role & { readonly device: string };

/** Constants of connections.bpf.c where it is attached. */
export function connectionConstants(
  { fleet }: { readonly fleet: Pick<NodeClaim["fleet"], "tunnelPort"> },
  { isClient, gatewayPod }: Role,
): Readonly<Record<string, { readonly type: Member; readonly value: unknown }>> {
  const flags = (isClient ? EGRESS_FLAGS.client : 0) | (gatewayPod === undefined ? 0 : EGRESS_FLAGS.gateway);
  return {
    egress_flags: { type: "u32", value: flags },
    workload_address: { type: "address", value: gatewayPod ?? "0.0.0.0" },
    tunnel_port: { type: "port", value: fleet.tunnelPort },
    trace: { type: "u32", value: 0 },
  };
}

/** Gateways whose pods' connections are told apart on the nodes around them: answers come past these, not by the tunnel. */
export const tracksConnections = ({ datapath, answers, nodes }: GatewayClaim): boolean =>
  datapath === "bpf" && answers === "cluster" && Object.values(nodes).some(({ pod }) => pod === true);

type Constants = ReturnType<typeof connectionConstants>;

/** What tells the object with these constants from every other one. */
const hashOf = (constants: Constants, digests: NodeFacts["objects"]): string =>
  shortHash(JSON.stringify([digests?.connections, constants]));

/** Every object that a node with these claims may have, by its hash: for the network, for clients, for each gateway pod. */
export function connectionObjects(
  node: NodeClaim,
  claims: readonly Claim[],
  digests: NodeFacts["objects"],
): Map<string, Constants> {
  const pods = claims.flatMap((claim) => (claim.kind === "gateway" ? Object.values(claim.nodes) : []));
  const roles: Role[] = [
    {},
    { isClient: true },
    ...pods.flatMap(({ pod, underlay }) => (pod ? [{ gatewayPod: underlay }] : [])),
  ];
  const all = roles.map((role) => connectionConstants(node, role));
  return new Map(all.map((constants) => [hashOf(constants, digests), constants]));
}

/** Programs, filters and the addresses of gateway pods on a node that runs one, or whose pods use one. */
export function compileConnections(view: NodeView): Owned[] {
  const { node, facts } = view;
  const gateways = view.gateways.filter(tracksConnections);
  const owner = gateways[0]?.owner.id;
  if (owner === undefined || node.netns !== undefined) return [];
  const placed = placesOf(view).map((place) => ({
    place,
    hash: hashOf(connectionConstants(node, place), facts.objects),
  }));
  const programs = [...new Set(placed.map(({ hash }) => hash))].map(
    (hash): BpfProgram => ({
      kind: "bpf-program",
      object: "connections",
      hash,
      devices: [TUNNEL, node.uplink],
      programs: [...OBJECTS.connections.programs].sort(),
    }),
  );
  return [
    ...own(owner, ...programs, ...placed.flatMap(({ place, hash }) => filtersOf(place, hash))),
    ...gateways.flatMap(({ owner: { id }, nodes }) =>
      Object.values(nodes).flatMap(({ pod, underlay }) => (pod ? own(id, podEntry(underlay)) : [])),
    ),
  ];
}

/**
 * A gateway pod's device is that alone. That the pod is a source as well is refused in previews and by the batch (runtime/pod-roles.ts);
 * where another pod behind its device is, refused in previews too, that one's packets are dropped as sources that are not the pod's.
 */
function placesOf(view: NodeView): ConnectionPlace[] {
  const { node, facts } = view;
  const pods = carriedPods(view).filter(({ answersByCluster }) => answersByCluster);
  const ofPods = new Set(pods.map(({ device }) => device));
  const between = [node.uplink, ...Object.keys(facts.loosened ?? {})].filter((device) => !ofPods.has(device));
  const clients = (facts.podDevices ?? []).filter((device) => !between.includes(device) && !ofPods.has(device));
  return [
    ...between.map((device) => ({ device })),
    ...clients.map((device) => ({ device, isClient: true as const })),
    ...pods.map(({ device, address }) => ({ device, gatewayPod: address })),
  ];
}

function filtersOf({ device, isClient, gatewayPod }: ConnectionPlace, hash: string): TcFilter[] {
  const name = isClient || gatewayPod !== undefined ? "workload" : "network";
  const filter = (direction: TcFilter["direction"], program: string): TcFilter => ({
    kind: "tc-filter",
    device,
    direction,
    program,
    of: `connections ${hash}`,
    behind: [],
  });
  return [filter("ingress", `from_${name}`), filter("egress", `to_${name}`)];
}
