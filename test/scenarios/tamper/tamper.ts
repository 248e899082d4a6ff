import { TUNNEL } from "../../../provider/compile/names";
import type { KernelObject, KindName, Owned } from "../../../provider/kernel/state";
import { textOf } from "../../../provider/kernel/state";

/** One thing that somebody does by hand on a node, and what a preview says of it, by the owner that is told. */
export interface Tamper {
  readonly how: "missing" | "changed" | "extra" | "reordered" | "foreign";
  /** The object that is meant, as it should be. */
  readonly what: string;
  readonly script: string;
  readonly told: readonly (Told | ToldObject)[];
  /** Chains whose rules it counts, so that they must stay as they are. */
  readonly counts?: readonly string[];
  /** Takes away what is nobody's of us, before the rest is repaired. */
  readonly cleanup?: string;
  /** The same, once our part of it is repaired. */
  readonly afterwards?: string;
}

export interface Told {
  readonly owner: string;
  readonly line: string;
  /** What else must stay as it is while this is so: a rule, or a chain and all that is in it; a set, a table of routes. */
  readonly where: string;
}

/** What is told of an object of the kernel. */
export interface ToldObject extends Told {
  readonly difference: "missing" | "extra" | "changed";
  /** What is wanted, or extra. */
  readonly object: KernelObject;
  /** What is there instead. */
  readonly actual?: KernelObject;
}

/** What a tamper has to know of the node besides the object that it is about. */
export interface Scene {
  readonly state: readonly Owned[];
  /** The owner of the node's enrolment, told of what is in nothing of anybody. */
  readonly nodeOwner: string;
  /** Which maps each program uses; left out: all of its object. */
  readonly uses?: ReadonlyMap<string, readonly string[]>;
}

export type Of<K extends KindName> = Extract<KernelObject, { kind: K }>;
export type Tampers<K extends KindName> = (object: Of<K>, owner: string, scene: Scene) => readonly Tamper[];

export const missing = (object: KernelObject, owner: string): ToldObject => ({
  owner,
  line: `missing  ${textOf(object)}`,
  where: whereOf(object),
  difference: "missing",
  object,
});
export const extra = (object: KernelObject, owner: string): ToldObject => ({
  owner,
  line: `extra    ${textOf(object)}`,
  where: whereOf(object),
  difference: "extra",
  object,
});
export const changed = (object: KernelObject, actual: KernelObject, owner: string): ToldObject => ({
  owner,
  line: `changed  ${textOf(object)}  is  ${textOf(actual)}`,
  where: whereOf(object),
  difference: "changed",
  object,
  actual,
});

function whereOf(object: KernelObject): string {
  switch (object.kind) {
    case "chain":
      return `${object.table} ${object.name}`;
    case "chain-rule":
      return `${object.table} ${object.chain} ${object.rule}`;
    case "hook":
      return `${object.table} ${object.chain}`;
    case "ipset":
      return object.name;
    case "ipset-member":
      return `${object.set} ${object.element}`;
    case "route":
      return `table ${object.table}`;
    case "ip-rule":
      return `mark ${object.mark}`;
    case "neighbour":
      return "neighbours";
    case "address":
      return object.device === TUNNEL ? TUNNEL : object.address;
    case "link":
    case "sysctl":
      return TUNNEL;
    case "bpf-map":
      return `map ${object.name}`;
    case "bpf-entry":
      return `map ${object.map} ${object.key}`;
    case "bpf-program":
      return `program ${object.object}`;
    case "tc-filter":
      return `hook ${object.device} ${object.direction}`;
    default: {
      const never: never = object;
      return never;
    }
  }
}

/** What of a node's state is of a kind and fits. */
export function those<K extends KindName>(
  scene: Pick<Scene, "state">,
  kind: K,
  fits: (object: Of<K>) => boolean = () => true,
) {
  return scene.state.filter(
    (entry): entry is Owned & { readonly object: Of<K> } => entry.object.kind === kind && fits(entry.object as Of<K>),
  );
}

export const allMissing = (entries: readonly Owned[]): ToldObject[] =>
  entries.map(({ object, owner }) => missing(object, owner));
