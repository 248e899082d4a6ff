import type { Address } from "./address";
import { MAX_INDEX } from "./mark";
import { hashOf } from "./rendezvous";

/**
 * The index behind a node's mark: starts at a hash of fleet and node, and goes up in a circle to the first that is free.
 * @throws Error if all are taken.
 */
export function allocateMark(node: string, fleet: string, taken: ReadonlySet<number>): number {
  const start = hashOf(`${fleet}/${node}`) % MAX_INDEX;
  for (let i = 0; i < MAX_INDEX; i++) {
    const index = ((start + i) % MAX_INDEX) + 1;
    if (!taken.has(index)) return index;
  }
  throw new Error(
    `no mark is free in fleet ${fleet}: all ${MAX_INDEX} are taken. Destroy the NodeMarks of nodes that are gone.`,
  );
}

/**
 * The egress IP of a policy that names none: the one that it holds if that is still there, else by `mode` the first one,
 * or the one whose turn it is: policies take them in the order in which the program makes them, whatever order they are checked in.
 * @throws Error if there are no egress IPs.
 */
export function allocateEgressIP(
  ips: readonly Address[],
  mode: "default" | "round-robin",
  held: Address | undefined,
  turn: number,
): Address {
  if (held !== undefined && ips.includes(held)) return held;
  const chosen = ips[mode === "default" ? 0 : turn % ips.length];
  if (chosen === undefined) throw new Error("there is no egress IP to allocate");
  return chosen;
}
