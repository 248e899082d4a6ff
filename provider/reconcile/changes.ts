import type { BpfMap } from "../kernel/bpf-map";
import type { IpSet } from "../kernel/ipset";
import { changeLink, type Link } from "../kernel/link";
import { type KernelObject, keyOf, textOf } from "../kernel/state";

export type Of<K extends KernelObject["kind"]> = Extract<KernelObject, { kind: K }>;

/** What is wanted and not there, and what is there and not wanted. */
export interface Changes {
  readonly added: readonly KernelObject[];
  readonly removed: readonly KernelObject[];
  readonly device: { readonly from?: Link; readonly to?: Link };
  /** What goes with the tunnel device as it changes; undo puts it back. */
  readonly lost: readonly KernelObject[];
}

/** A changed object is removed and added, except for the tunnel device; what the device takes along counts as gone. */
export function compare(desired: readonly KernelObject[], actual: readonly KernelObject[]): Changes {
  const to = desired.find((o): o is Link => o.kind === "link");
  const from = actual.find((o): o is Link => o.kind === "link");
  const lost = from ? actual.filter((o) => goesWith(o, from, to)) : [];
  const kept = actual.filter((o) => !lost.includes(o));
  const remade = changedNames(ofKind(desired, "ipset"), ofKind(actual, "ipset"));
  const remadeMaps = changedNames(ofKind(desired, "bpf-map"), ofKind(actual, "bpf-map"));
  const emptied = (o: KernelObject): boolean =>
    (o.kind === "ipset-member" && remade.has(o.set)) || (o.kind === "bpf-entry" && remadeMaps.has(o.map));
  const there = new Set(kept.filter((o) => !emptied(o)).map(textOf));
  const wanted = new Set(desired.map(textOf));
  return {
    added: desired.filter((o) => o.kind !== "link" && !there.has(textOf(o))),
    removed: kept.filter((o, i) => o.kind !== "link" && (!wanted.has(textOf(o)) || doubled(kept, i) || emptied(o))),
    device: { from, to },
    lost,
  };
}

/** Names of sets and maps of another form, which can't be changed: they are made again, without what is in them. */
function changedNames<T extends IpSet | BpfMap>(desired: readonly T[], actual: readonly T[]): Set<string> {
  const there = new Map(actual.map((one) => [keyOf(one), textOf(one)]));
  const changed = desired.filter((one) => (there.get(keyOf(one)) ?? textOf(one)) !== textOf(one));
  return new Set(changed.map(({ name }) => name));
}

/**
 * A device that is removed takes all that lives on it; one with a new MAC its neighbours, permanent ones too (kernel: neigh_changeaddr);
 * one that leaves a master goes down for it, so its routes as well.
 */
function goesWith(object: KernelObject, from: Link, to: Link | undefined): boolean {
  // A program has the device's number in it.
  if (object.kind === "bpf-program") return isGone(from, to) && object.devices.includes(from.name);
  if (!livesOnDevice(object, from.name)) return false;
  const isMoved = from.master !== to?.master;
  if (object.kind === "tc-filter") return isGone(from, to);
  if (object.kind === "route") return isGone(from, to) || isMoved;
  return isGone(from, to) || (object.kind === "neighbour" && (isMoved || from.mac !== to?.mac));
}

export const isGone = (from: Link, to: Link | undefined): boolean =>
  to === undefined || changeLink(from, to) === undefined;
export const isNewDevice = ({ device: { from, to } }: Changes): boolean =>
  to !== undefined && (!from || isGone(from, to));

/** A rule or filter that stands twice is removed once. Only the kernel's ip rules and filters can be doubled. */
function doubled(objects: readonly KernelObject[], index: number): boolean {
  const object = objects[index];
  const canBe = object?.kind === "ip-rule" || object?.kind === "tc-filter";
  return canBe && objects.slice(0, index).some((other) => textOf(other) === textOf(object));
}

/** Addresses that are there in another form than the one that is wanted: of each the first that was found. */
export function otherForms({
  added,
  removed,
}: Changes): { readonly from: Of<"address">; readonly to: Of<"address"> }[] {
  const found = ofKind(removed, "address");
  return ofKind(added, "address").flatMap((to) => {
    const from = found.find((o) => keyOf(o) === keyOf(to));
    return from ? [{ from, to }] : [];
  });
}

function livesOnDevice(object: KernelObject, device: string): boolean {
  switch (object.kind) {
    case "address":
    case "neighbour":
      return object.device === device;
    case "route":
      return object.leg?.device === device || `${object.other} `.includes(` dev ${device} `);
    case "tc-filter":
      return object.device === device;
    case "sysctl":
      return object.name.includes(`/${device}/`);
    default:
      return false;
  }
}

export const ofKind = <K extends KernelObject["kind"]>(objects: readonly KernelObject[], kind: K): Of<K>[] =>
  objects.filter((o): o is Of<K> => o.kind === kind);
