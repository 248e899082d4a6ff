import { type Drift, driftOn, joined } from "./drift";
import { holdingOf } from "./gateway-registry";
import { claimOf, misplacedOn, namesOf, reachable, sessionOf } from "./gateway-rollout";
import { fleetOf, type GatewayState, nodesOf, registryRefOf } from "./gateway-state";
import { entryDrift, unknownRegistry } from "./registry-entries";
import { memory } from "./run-memory";
import { straysOf } from "./strays";

export async function driftOfState(state: GatewayState, next: GatewayState): Promise<Drift> {
  const { ownerId } = state;
  const claim = claimOf(state);
  const right = reachable(nodesOf(state)).map((node) => ({ session: sessionOf(node), ownerId, claim }));
  const strays = straysOf(ownerId, namesOf(state, next)).map((session) => ({ session, ownerId, claim: undefined }));
  const registry = registryRefOf(state);
  // A NodeMark of the fleet in this program, or the node itself, says it already.
  const isSilent = memory.fleets.has(fleetOf(state)) || nodesOf(state).some(({ node }) => node === registry?.node);
  const unknown = registry && !isSilent ? await unknownRegistry(registry, fleetOf(state)) : {};
  const misplaced = await Promise.all(misplacedOn(next).map((one) => driftOn([{ ...one, claim: undefined }])));
  return joined(await driftOn([...right, ...strays]), ...misplaced, await entryDrift(holdingOf(state)), unknown);
}
