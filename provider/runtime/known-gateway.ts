import type { GatewayClaim } from "../model/claim";
import { claimOf } from "./gateway-rollout";
import type { GatewayState } from "./gateway-state";
import type { Looked } from "./look";
import { memory } from "./run-memory";

const claims = new WeakMap<GatewayState, GatewayClaim>();

/** The claim of a gateway: each policy's check asks for all of them. */
export function claimOnce(state: GatewayState): GatewayClaim {
  const claim = claims.get(state) ?? claimOf(state);
  claims.set(state, claim);
  return claim;
}

/** A gateway as this run wants it, else as nodes know it: it may be another stack's, or none of the targets. */
export function gatewayOf(id: string, looked: ReadonlyMap<string, Looked>): GatewayClaim | undefined {
  const state = memory.gateways.get(id)?.wanted;
  if (state) return claimOnce(state);
  for (const { snapshot } of looked.values()) {
    const claim = snapshot?.claims.find(({ owner }) => owner.id === id);
    if (claim?.kind === "gateway") return claim;
  }
  return undefined;
}
