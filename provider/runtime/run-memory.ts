import type { Claim, FleetSettings } from "../model/claim";
import type { NamedPolicy } from "../model/overlap";
import type { GatewayState } from "./gateway-state";
import type { PolicyChange } from "./policy-state";

/** A resource of this run's program. */
export interface Live {
  readonly label: string;
  /** Where it is to be, and where state has it. */
  readonly nodes: ReadonlySet<string>;
  readonly had: ReadonlySet<string>;
  /** Which object of the program it is. */
  readonly instance: string | undefined;
}

/**
 * What the resources of this run have said so far. The engine calls check one by one in one process,
 * so the second of two that clash sees the first, whichever comes first.
 */
export interface RunMemory {
  /** `project/stack` of this stack, as it is and as it was called before: nodes may know it by any of them. */
  readonly stacks: Set<string>;
  /** Fleet → index → node. */
  readonly marks: Map<string, Map<number, string>>;
  /** Fleet → its settings and the node of its registry, and who said so first. */
  readonly fleets: Map<string, { readonly settings: FleetSettings; readonly registry: string; readonly node: string }>;
  /** Fleet → egress IP → label of the gateway. */
  readonly egressIPs: Map<string, Map<string, string>>;
  /** Owner id → the gateway as this run wants it, and as state has it. */
  readonly gateways: Map<string, { readonly wanted: GatewayState; readonly held: GatewayState | undefined }>;
  /** Owner id → which resource of this run's program it is. */
  readonly live: Map<string, Live>;
  /** Type and label → which object of the program it is. */
  readonly names: Map<string, { readonly instance: string | undefined }>;
  /** Owner id → the policy, the gateway that it has in state, and the fleet of the one that it is to have. */
  readonly policies: Map<string, NamedPolicy & { readonly formerly?: string | undefined; readonly fleet?: string }>;
  /** Kind and name of what could not take what it is to select → the sources of that. */
  readonly notTaken: Map<string, readonly string[]>;
  /** Names of the policies that the engine is to create or update, and has not come to yet. */
  readonly toCome: Set<string>;
  /** Kind → how many of it the program declares, as far as it says. */
  readonly declared: Map<Claim["kind"], number>;
  /** Owner id → a policy that has taken what it selects, and is to let go of the rest when all have. */
  readonly owed: Map<string, PolicyChange>;
  /** Owner ids of the gateways and policies that this run deletes. */
  readonly deleted: Set<string>;
}

export const memory: RunMemory = {
  stacks: new Set(),
  marks: new Map(),
  fleets: new Map(),
  egressIPs: new Map(),
  gateways: new Map(),
  live: new Map(),
  names: new Map(),
  policies: new Map(),
  notTaken: new Map(),
  toCome: new Set(),
  declared: new Map(),
  owed: new Map(),
  deleted: new Set(),
};

/** A new run in the same process. */
export function forgetRun(): void {
  for (const map of Object.values(memory) as { clear(): void }[]) map.clear();
}

export function inner<K, V>(map: Map<string, Map<K, V>>, key: string): Map<K, V> {
  const found = map.get(key) ?? new Map<K, V>();
  map.set(key, found);
  return found;
}
