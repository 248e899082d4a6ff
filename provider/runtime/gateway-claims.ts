import type { NodeRef } from "../model/args";
import type { Claim, PolicyClaim } from "../model/claim";
import { reachable, sessionOf } from "./gateway-rollout";
import { type GatewayState, nodesOf } from "./gateway-state";
import { lookAll } from "./look";

/** What the nodes of a gateway know, of whomever. */
export async function claimsOn(state: GatewayState): Promise<Claim[]> {
  const looked = [...(await lookAll(reachable(nodesOf(state)).map(sessionOf))).values()];
  return looked.flatMap(({ snapshot }) => snapshot?.claims ?? []);
}

/** The gateway as an earlier run left it on those of its nodes that know it. */
export async function leftOnNodes(state: GatewayState): Promise<GatewayState | undefined> {
  const claim = (await claimsOn(state)).find((one) => one.kind === "gateway" && one.owner.id === state.ownerId);
  if (claim?.kind !== "gateway") return undefined;
  const isThere = ({ node }: NodeRef): boolean => claim.nodes[node] !== undefined;
  const [gateways, clients] = [state.gateways.filter(isThere), state.clients?.filter(isThere)];
  return { ...state, gateways, clients, placement: claim.placement };
}

/** Policies that use the gateway, as its nodes know them. */
export async function policiesOf(state: GatewayState): Promise<PolicyClaim[]> {
  const users = (await claimsOn(state)).filter((claim) => claim.kind === "policy");
  return [
    ...new Map(users.filter(({ gateway }) => gateway === state.ownerId).map((one) => [one.owner.id, one])).values(),
  ];
}
