import type { FleetSettings } from "../model/claim";
import type { Looked } from "./look";
import { memory } from "./run-memory";

/** What this run says of a fleet; else, for the fleet of another stack, what its nodes know; undefined where nobody does. */
export function settingsOf(fleet: string, looked: ReadonlyMap<string, Looked>): FleetSettings | undefined {
  const ofRun = memory.fleets.get(fleet);
  if (ofRun) return ofRun.settings;
  for (const { snapshot } of looked.values()) {
    const node = snapshot?.claims.find((claim) => claim.kind === "node");
    if (node?.kind === "node" && node.fleet.name === fleet) return node.fleet;
  }
  return undefined;
}
