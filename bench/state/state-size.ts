import { say } from "../progress";
import type { PartResult } from "../result";
import { type StackSize, stateOf } from "./build";
import { exportedBytes, storedBytes } from "./engine-state";

/** Design's promise: 1,000 policies on 50 nodes under 16 MB. */
export const largeStack: StackSize = { policies: 1000, sources: 50, destinations: 5, clients: 46, gateways: 4 };
export const LIMIT = 16_000_000;

export async function stateSize(): Promise<PartResult> {
  say("state: 1,000 policies on 50 nodes");
  const state = await stateOf(largeStack);
  const [stored, exported] = [storedBytes(state), exportedBytes(state)];
  const { policies, sources, destinations, clients, gateways } = largeStack;
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  return {
    title: `state: ${policies} policies (${sources} sources, ${destinations} destinations each) on ${clients + gateways} nodes`,
    rows: [],
    facts: [
      `${megabytes(stored)} as the backend keeps it, ${megabytes(exported)} as \`pulumi stack export\` prints it; the limit is ${megabytes(LIMIT)} kept.`,
      `${Math.round(stored / policies)} bytes a policy. What bounds it: the provider's text twice in each resource, and the nodes that a delete must reach.`,
    ],
    problems: stored < LIMIT ? [] : [`the state takes ${megabytes(stored)}, more than ${megabytes(LIMIT)}`],
    raw: { size: largeStack, storedBytes: stored, exportedBytes: exported },
  };
}
