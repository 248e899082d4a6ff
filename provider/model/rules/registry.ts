import type { Problem } from "../args";
import { type At, text } from "../at";
import { quote } from "../problem";

/** A registry outlives pods and boots, so it is on a machine. */
export function keptRegistryRule(netns: At): Problem[] {
  const name = text(netns);
  if (name === undefined) return [];
  const message = `The registry can't be in network namespace ${quote(name)}, which goes with its pod. Name a node that is a machine as the fleet's registry.`;
  return [{ path: netns.path, message }];
}
