import { contains, overlaps } from "../../../provider/model/address";
import type { Claim, GatewayClaim, NodeClaim, PolicyClaim } from "../../../provider/model/claim";
import { markOf } from "../../../provider/model/mark";

/** What the claims of a node allow for one source and destination, worked out from the claims alone. */
export interface Allowed {
  /** The egress IPs by which it may leave the cluster. */
  readonly egressIPs: readonly string[];
  /** Those of them that this node holds itself. */
  readonly here: readonly string[];
  /** Underlay addresses of the other nodes that hold one of them. */
  readonly peers: readonly string[];
  /** Marks of these nodes. */
  readonly marks: readonly number[];
  /** The user lets it leave by the node's address while the tunnel is lost. */
  readonly byNode: boolean;
}

export function allowed(claims: readonly Claim[], source: string, destination: string): Allowed {
  const node = claims.find((claim): claim is NodeClaim => claim.kind === "node");
  const found = node ? policiesOf(claims, node, source, destination) : [];
  const holders = found.flatMap(({ policy, gateway }) => {
    const name = gateway.placement[policy.egressIP];
    const peer = name === undefined ? undefined : gateway.nodes[name];
    return name === undefined || !peer ? [] : [{ ip: policy.egressIP, name, peer }];
  });
  const others = holders.filter(({ name }) => name !== node?.node);
  return {
    egressIPs: found.map(({ policy }) => policy.egressIP),
    here: holders.filter(({ name }) => name === node?.node).map(({ ip }) => ip),
    peers: others.map(({ peer }) => peer.underlay),
    marks: others.map(({ peer }) => markOf(peer.index)),
    byNode: found.some(({ gateway }) => gateway.onTunnelLoss === "node-ip"),
  };
}

function policiesOf(
  claims: readonly Claim[],
  node: NodeClaim,
  source: string,
  destination: string,
): { policy: PolicyClaim; gateway: GatewayClaim }[] {
  return claims
    .filter((claim): claim is PolicyClaim => claim.kind === "policy")
    .flatMap((policy) => {
      const gateway = claims.find(
        (claim): claim is GatewayClaim => claim.kind === "gateway" && claim.owner.id === policy.gateway,
      );
      return gateway ? [{ policy, gateway }] : [];
    })
    .filter(({ policy, gateway }) => {
      const peers = Object.values(gateway.nodes).map(({ underlay }) => underlay);
      const never = [...node.fleet.ignore, node.underlay, ...peers, ...policy.except, ...gateway.extraIgnore];
      const wanted = policy.destinations.length === 0 ? ["0.0.0.0/0"] : policy.destinations;
      return (
        policy.sources.some((cidr) => contains(cidr, source)) &&
        wanted.some((cidr) => overlaps(cidr, destination)) &&
        !never.some((cidr) => contains(cidr, destination))
      );
    });
}
