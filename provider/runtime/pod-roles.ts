import { contains } from "../model/address";
import type { Claim, GatewayClaim, PolicyClaim } from "../model/claim";
import { labelText } from "./label";
import { selectionsOf } from "./policy-state";

/** An address by which a gateway pod is selected: its own, or an egress IP that is on it. */
export interface PodAddress {
  readonly address: string;
  readonly node: string;
}

export const podsOf = ({ nodes, placement }: Pick<GatewayClaim, "nodes" | "placement">): PodAddress[] =>
  Object.entries(nodes).flatMap(([node, { pod, underlay }]) => {
    const held = Object.entries(placement).flatMap(([ip, holder]) => (holder === node ? [ip] : []));
    return pod ? [...new Set([underlay, ...held])].map((address) => ({ address, node })) : [];
  });

export const isSource = (policy: PolicyClaim, { address }: PodAddress): boolean =>
  selectionsOf(policy).some(({ sources }) => sources.some((cidr) => contains(cidr, address)));

/**
 * A gateway pod asks by no gateway pod: what it sends would come back to it for ever, or leave by another egress IP. Previews
 * refuse it (pod-sources.ts); this refuses what they could not see, as of two stacks that run at once. What a node has already
 * stands in no batch's way, since batches take it off too.
 * @throws Error naming the pod, its gateway and the policy.
 */
export function requireOneRole(had: readonly Claim[], claims: readonly Claim[]): void {
  const known = new Set(bothRoles(had).map(({ key }) => key));
  const found = bothRoles(claims).find(({ key }) => !known.has(key));
  if (found) throw new Error(`${found.what}, so nothing was changed. Take it out of the policy's sources first.`);
}

function bothRoles(claims: readonly Claim[]): { readonly key: string; readonly what: string }[] {
  const pods = claims.flatMap((claim) =>
    claim.kind === "gateway" ? podsOf(claim).map((pod) => ({ ...pod, gateway: claim.owner })) : [],
  );
  if (pods.length === 0) return [];
  const policies = claims.filter((claim): claim is PolicyClaim => claim.kind === "policy");
  return pods.flatMap((pod) =>
    policies
      .filter((policy) => isSource(policy, pod))
      .map(({ owner }) => ({
        key: JSON.stringify([pod.address, pod.gateway.id, owner.id]),
        what: `${pod.address} is pod ${pod.node} of gateway ${labelText(pod.gateway)} and a source of policy ${labelText(owner)}`,
      })),
  );
}
