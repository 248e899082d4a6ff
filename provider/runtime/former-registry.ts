import type { FleetArgs } from "../model/args";
import { NodeError } from "../transport/errors";
import { isAbandoned } from "./abandon";
import { session } from "./context";

type Registry = FleetArgs["registry"];

/** After an update that names another node for a fleet's registry: what the former one knows of an owner is let go. */
export async function leaveFormer(before: Registry, now: Registry, fleet: string, owner: string): Promise<void> {
  if (before.node === now.node || isSameMachine(before, now) || isAbandoned(before.node)) return;
  try {
    await session(before.node, before.connection).release(fleet, owner);
  } catch (error) {
    if (!(error instanceof NodeError && error.kind === "unreachable")) throw error;
    console.warn(`${error.message}. What the former registry of fleet "${fleet}" knows stays there.`);
  }
}

/** Two names by which one machine is reached in the same way. */
export const isSameMachine = (
  { connection: a }: Pick<Registry, "connection">,
  { connection: b }: Pick<Registry, "connection">,
): boolean => a.host === b.host && (a.port ?? 22) === (b.port ?? 22) && a.proxy?.host === b.proxy?.host;
