import type { EgressGatewayArgs } from "../model/args";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import { claimsOn } from "./gateway-claims";
import { type Given, reachable, sessionOf } from "./gateway-rollout";
import { fleetOf, type GatewayState, nodesOf, registryRefOf } from "./gateway-state";
import {
  clashMessage,
  formerOwners,
  fromOtherNodes,
  givingUp,
  handoversTo,
  notGiven,
  placedElsewhere,
} from "./handover";
import { labelText } from "./label";
import { lookAll } from "./look";
import type { Holding } from "./registry-entries";
import type { NodeSession } from "./session";

/** What the registry calls an egress IP. */
const keyOf = (ip: string): string => `ip-${ip}`;
const keysOf = ({ placement }: GatewayState): string[] => Object.keys(placement).map(keyOf);

export const holdingOf = (state: GatewayState): Holding => ({
  registry: registryRefOf(state),
  fleet: fleetOf(state),
  owner: state.ownerId,
  holder: labelText(state.label),
  keys: new Map(keysOf(state).map((key) => [key, state.ownerId])),
});

/** All or none. What other gateways of this stack hold and give up in this run is taken from them; what they give up on nodes is returned. */
export async function claimAddresses(state: GatewayState, before: GatewayState | undefined): Promise<Given> {
  const registry = registryOf(state);
  const holder = labelText(state.label);
  const entries = Object.keys(state.placement).map((ip) => ({
    key: keyOf(ip),
    owner: state.ownerId,
    holder,
    content: state.placement[ip] ?? "",
  }));
  const known = (await registry.snapshot()).registry.get(fleetOf(state)) ?? [];
  const placed = placedElsewhere(state, await claimsOn(state));
  const handovers = await handoversTo(state, [...known, ...placed]);
  const kept = notGiven(placed, handovers, before);
  const clashes = kept.length > 0 ? kept : await registry.claim(fleetOf(state), entries, [], formerOwners(handovers));
  if (clashes.length === 0) return { fromOtherNodes: fromOtherNodes(handovers, state), wave: givingUp(handovers) };
  throw new Error(clashes.map((entry) => clashMessage(entry, fleetOf(state))).join("\n"));
}

/** Lets go of other egress IPs than it has now. */
export const releaseOthers = (state: GatewayState): Promise<void> => releaseBut(state, keysOf(state));

/** Lets go of all but these keys. */
export async function releaseBut(state: GatewayState, keep: readonly string[]): Promise<void> {
  if (isAbandoned(registryRefOf(state)?.node ?? "")) return;
  await registryOf(state).release(fleetOf(state), state.ownerId, keep);
}

/** After an update that failed: egress IPs that no node has taken on are let go. */
export async function releaseUntaken(before: GatewayState, state: GatewayState): Promise<void> {
  const looked = [...(await lookAll(reachable(nodesOf(state)).map(sessionOf))).values()];
  if (looked.some(({ snapshot }) => !snapshot)) return;
  const claims = looked.flatMap(({ snapshot }) => snapshot?.claims ?? []);
  const taken = claims.flatMap((claim) =>
    claim.kind === "gateway" && claim.owner.id === state.ownerId ? Object.keys(claim.placement) : [],
  );
  const kept = new Set([...Object.keys(before.placement), ...taken]);
  await releaseBut(before, [...kept].map(keyOf));
}

function registryOf(state: EgressGatewayArgs): NodeSession {
  const registry = registryRefOf(state);
  if (!registry) throw new Error("a gateway without gateway nodes");
  return session(registry.node, registry.connection);
}
