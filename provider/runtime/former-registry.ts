import type { FleetArgs } from "../model/args";
import { isAbandoned } from "./abandon";
import { session } from "./context";

type Registry = FleetArgs["registry"];

/** After an update that names another node for a fleet's registry: what the former one knows of an owner is let go. */
export async function leaveFormer(before: Registry, now: Registry, fleet: string, owner: string): Promise<void> {
  if (before.node !== now.node && !isAbandoned(before.node))
    await session(before.node, before.connection).release(fleet, owner);
}
