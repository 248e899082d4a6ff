import type { Claim, GatewayClaim, NodeClaim, PolicyClaim } from "../../../provider/model/claim";
import { markOf } from "../../../provider/model/mark";
import { inside } from "./inside";

/** What the claims of a node allow for one source and destination, worked out from the claims alone. */
export interface Allowed {
  /** The egress IPs by which it may leave the cluster, that of a change under way before the former one; none = it isn't selected. */
  readonly egressIPs: readonly string[];
  /** The user lets it leave by the node's address while the tunnel is lost. */
  readonly byNode: boolean;
}

export interface Holders {
  /** Egress IPs that this node holds itself. */
  readonly here: readonly string[];
  /** The other nodes that hold one. */
  readonly peers: readonly { readonly underlay: string; readonly mark: number }[];
}

export function allowed(claims: readonly Claim[], source: string, destination: string): Allowed {
  const node = claims.find((claim): claim is NodeClaim => claim.kind === "node");
  const gateways = gatewaysOf(claims);
  const found = claims
    .filter((claim): claim is PolicyClaim => claim.kind === "policy")
    .flatMap((policy) => {
      const at = (one: PolicyClaim) => ({
        policy: one,
        gateway: gateways.find(({ owner }) => owner.id === one.gateway),
      });
      const former = (policy.also ?? []).map((one) => at({ ...policy, ...one })).filter(({ gateway }) => gateway);
      return [at(policy), ...former].filter(
        (one) => node && selects(node, one.policy, one.gateway, source, destination),
      );
    });
  return {
    egressIPs: found.map(({ policy }) => policy.egressIP),
    byNode: found.some(({ gateway }) => gateway?.onTunnelLoss === "node-ip"),
  };
}

/** Who holds these egress IPs. */
export function holdersOf(claims: readonly Claim[], egressIPs: readonly string[]): Holders {
  const node = claims.find((claim): claim is NodeClaim => claim.kind === "node");
  const placed = gatewaysOf(claims)
    .flatMap(({ placement, nodes }) => Object.entries(placement).map(([ip, name]) => ({ ip, name, peer: nodes[name] })))
    .filter(({ ip }) => egressIPs.includes(ip));
  return {
    here: placed.filter(({ name }) => name === node?.node).map(({ ip }) => ip),
    peers: placed.flatMap(({ name, peer }) =>
      name === node?.node || !peer ? [] : [{ underlay: peer.underlay, mark: markOf(peer.index) }],
    ),
  };
}

const gatewaysOf = (claims: readonly Claim[]): GatewayClaim[] =>
  claims.filter((claim): claim is GatewayClaim => claim.kind === "gateway");

function selects(
  node: NodeClaim,
  policy: PolicyClaim,
  gateway: GatewayClaim | undefined,
  source: string,
  destination: string,
): boolean {
  const peers = Object.values(gateway?.nodes ?? {}).map(({ underlay }) => underlay);
  const never = [...node.fleet.ignore, node.underlay, ...peers, ...(gateway?.extraIgnore ?? [])];
  const { sources, destinations, except } = policy;
  const wanted = destinations.length === 0 ? ["0.0.0.0/0"] : destinations;
  return (
    sources.some((cidr) => inside(cidr, source)) &&
    wanted.some((cidr) => inside(cidr, destination)) &&
    ![...never, ...except].some((cidr) => inside(cidr, destination))
  );
}
