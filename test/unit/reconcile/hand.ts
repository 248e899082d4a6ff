import type { KernelObject, KindName } from "../../../provider/kernel/state";
import type { Difference } from "../../../provider/reconcile/diff";
import type { World } from "./fake-world";

/** Something that a person does by hand to one object of ours, and how the first difference that tells of it begins. */
export interface Tamper {
  readonly name: string;
  readonly kind: KindName;
  readonly told: Difference["kind"];
  /** It shows at another object than the one that it was done to. */
  readonly isElsewhere: boolean;
  /** Does it; false where this object can't be tampered with like this. */
  readonly by: (world: World, object: KernelObject) => boolean;
}

export type Of<K extends KindName> = Extract<KernelObject, { kind: K }>;

export function tamper<K extends KindName>(
  kind: K,
  name: string,
  told: Difference["kind"],
  by: (world: World, object: Of<K>) => unknown,
): Tamper {
  const isElsewhere = told === "extra" || name === "moved";
  return {
    kind,
    name: `${kind} ${name}`,
    told,
    isElsewhere,
    by: (world, object) => by(world, object as Of<K>) !== false,
  };
}
