import type { KernelObject, KindName, Owned } from "../../../provider/kernel/state";
import { textOf } from "../../../provider/kernel/state";

/** One thing that somebody does by hand on a node, and what a preview says of it, by the owner that is told. */
export interface Tamper {
  readonly how: "missing" | "changed" | "extra" | "reordered" | "foreign";
  /** The object that is meant, as it should be. */
  readonly what: string;
  readonly script: string;
  readonly told: readonly Told[];
  /** Takes away what is nobody's of us once it is repaired. */
  readonly cleanup?: string;
}

export interface Told {
  readonly owner: string;
  readonly line: string;
  /** What else must stay as it is while this is so: a chain, a set, the node's paths. */
  readonly where: string;
}

/** What a tamper has to know of the node besides the object that it is about. */
export interface Scene {
  readonly state: readonly Owned[];
  /** The owner of the node's enrolment, told of what is in nothing of anybody. */
  readonly nodeOwner: string;
}

export type Of<K extends KindName> = Extract<KernelObject, { kind: K }>;
export type Tampers<K extends KindName> = (object: Of<K>, owner: string, scene: Scene) => readonly Tamper[];

const told = (object: KernelObject, owner: string, line: string): Told => ({ owner, line, where: whereOf(object) });
export const missing = (object: KernelObject, owner: string): Told => told(object, owner, `missing  ${textOf(object)}`);
export const extra = (object: KernelObject, owner: string): Told => told(object, owner, `extra    ${textOf(object)}`);
export const changed = (object: KernelObject, actual: KernelObject, owner: string): Told =>
  told(object, owner, `changed  ${textOf(object)}  is  ${textOf(actual)}`);

function whereOf(object: KernelObject): string {
  switch (object.kind) {
    case "chain":
      return `${object.table} ${object.name}`;
    case "chain-rule":
    case "hook":
      return `${object.table} ${object.chain}`;
    case "ipset":
      return object.name;
    case "ipset-member":
      return object.set;
    default:
      return "paths";
  }
}

/** What of a node's state is of a kind and fits. */
export function those<K extends KindName>(scene: Scene, kind: K, fits: (object: Of<K>) => boolean = () => true) {
  return scene.state.filter(
    (entry): entry is Owned & { readonly object: Of<K> } => entry.object.kind === kind && fits(entry.object as Of<K>),
  );
}

export const allMissing = (entries: readonly Owned[]): Told[] =>
  entries.map(({ object, owner }) => missing(object, owner));
