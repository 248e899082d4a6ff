import type { BpfEntry } from "../kernel/bpf-entry";
import { OBJECTS, type ObjectName } from "../kernel/bpf-layout";
import type { BpfMap } from "../kernel/bpf-map";
import type { BpfProgram } from "../kernel/bpf-program";
import { type KernelObject, keyOf } from "../kernel/state";
import { type TcFilter, turnOf } from "../kernel/tc-filter";
import { type Changes, isGone, type Of, ofKind } from "./changes";
import { type Step, step } from "./step";

/**
 * Changes nothing; its undo, the last of all, loads and attaches again what has the number of a tunnel device that is made again.
 */
export function keepPrograms({ device: { from, to }, lost }: Changes, actual: readonly KernelObject[]): Step[] {
  if (!from || !isGone(from, to)) return [];
  const programs = ofKind(lost, "bpf-program");
  const loaded = new Set(programs.map(nameOf));
  const filters = ofKind(actual, "tc-filter").filter(({ of }) => loaded.has(of));
  return [
    ...step("tc", filters.map(keepFilter), filters.map(attach)),
    ...step("bpf-program", programs.map(keepProgram), programs.map(load)),
  ];
}

/**
 * Maps, entries and programs come before the filters that use them, when the rules of the stack stand. A filter is swapped in one step;
 * one of a program that is loaded again gets the new one.
 */
export function growPrograms(
  changes: Changes,
  desired: readonly KernelObject[],
  actual: readonly KernelObject[],
): Step[] {
  const programs = loadedAnew(changes, desired);
  const filters = attachedAnew(changes, desired, new Set(programs.map(nameOf)));
  const hadProgram = keysOf(actual, "bpf-program");
  const hadFilter = keysOf(
    actual.filter((o) => !changes.lost.includes(o)),
    "tc-filter",
  );
  return [
    ...growMaps(changes),
    ...growEntries(changes),
    ...step(
      "bpf-program",
      programs.map(load),
      programs.map((one) => (hadProgram.has(keyOf(one)) ? reload(one) : dropProgram(one))),
    ),
    ...step(
      "tc",
      filters.map(attach),
      filters.map((one) => (hadFilter.has(keyOf(one)) ? bringBack(one) : detach(one))),
    ),
  ];
}

function growMaps(changes: Changes): Step[] {
  const maps = ofKind(changes.added, "bpf-map");
  const there = keysOf(changes.removed, "bpf-map");
  const remade = maps.filter((map) => there.has(keyOf(map)));
  const fresh = maps.filter((map) => !there.has(keyOf(map)));
  return step(
    "bpf-map",
    [...remade.map(removeMap), ...maps.map(createMap)],
    [...fresh.map(dropMap), ...remade.map(putBack)],
  );
}

/** Entries of new maps go with these. */
function growEntries({ added, removed }: Changes): Step[] {
  const isNew = namesOfMaps(added);
  const entries = ofKind(added, "bpf-entry");
  const former = new Map(ofKind(removed, "bpf-entry").map((entry) => [keyOf(entry), entry]));
  const others = entries.filter(({ map }) => !isNew.has(map));
  const undo = [
    ...narrowFirst(others.flatMap((entry) => former.get(keyOf(entry)) ?? [])).map(update),
    ...narrowLast(others.filter((entry) => !former.has(keyOf(entry)))).map(remove),
  ];
  return step("bpf-entry", narrowFirst(entries).map(update), undo);
}

/** A program goes on using the maps that it was loaded with. */
function loadedAnew({ added, removed }: Changes, desired: readonly KernelObject[]): BpfProgram[] {
  const maps = namesOfMaps(added);
  const changed = new Set([...keysOf(added, "bpf-program"), ...keysOf(removed, "bpf-program")]);
  return ofKind(desired, "bpf-program").filter(
    (program) => changed.has(keyOf(program)) || mapsOf(program).some((map) => maps.has(map)),
  );
}

/** All of a hook together, so that they come to stand in their order. */
function attachedAnew(
  { added, removed }: Changes,
  desired: readonly KernelObject[],
  loaded: ReadonlySet<string>,
): TcFilter[] {
  const filters = ofKind(desired, "tc-filter");
  const changed = new Set([...keysOf(added, "tc-filter"), ...keysOf(removed, "tc-filter")]);
  const hooks = new Set(filters.filter((one) => loaded.has(one.of) || changed.has(keyOf(one))).map(hookOf));
  return answersFirst(filters.filter((one) => hooks.has(hookOf(one))));
}

/**
 * Entries, filters, programs and maps that nothing needs any more, when what they carried is cut: the stack takes the packets then.
 * Sources go before what their class selects, policies before the filters, so that nothing learns anew what these give up.
 */
export function shrinkPrograms(
  changes: Changes,
  desired: readonly KernelObject[],
  actual: readonly KernelObject[],
): Step[] {
  const maps = unwanted(changes.removed, "bpf-map", desired);
  const lost = new Set([...maps.map(({ name }) => name), ...namesOfMaps(changes.added)]);
  const entries = unwanted(changes.removed, "bpf-entry", desired).filter(({ map }) => !lost.has(map));
  const programs = unwanted(actual, "bpf-program", desired);
  const filters = answersFirst(unwanted(changes.removed, "tc-filter", desired));
  return [
    ...step("bpf-entry", narrowLast(entries).map(remove), narrowFirst(entries).map(update)),
    ...step("tc", [...filters].reverse().map(detach), filters.map(bringBack)),
    ...step("bpf-program", programs.map(unload), programs.map(reload)),
    ...step("bpf-map", maps.map(removeMap), maps.map(putBack)),
  ].map((one) => ({ ...one, isAfterCuts: true }));
}

const answersFirst = (filters: readonly TcFilter[]): TcFilter[] =>
  [...filters].sort((a, b) => turnOf(a.program) - turnOf(b.program));

/**
 * In the order in which they go: sources first, of policies the widest. So, and the other way round as they come, what an entry within another
 * one's network decides goes from what it was to what it is, and never by the wider one's between them.
 */
const narrowLast = (entries: readonly BpfEntry[]): BpfEntry[] =>
  [...entries].sort(
    (a, b) => Number(b.map === "egw_sources") - Number(a.map === "egw_sources") || lengthOf(a) - lengthOf(b),
  );
/** In the order in which they come: by map, what a class selects before its sources, and of policies the narrowest first. */
const narrowFirst = (entries: readonly BpfEntry[]): BpfEntry[] =>
  [...entries].sort((a, b) => Number(a.map > b.map) - Number(a.map < b.map) || lengthOf(b) - lengthOf(a));
/** Of a policy the length of its key: four bytes of a little-endian number. */
const lengthOf = ({ map, key }: BpfEntry): number =>
  map === "egw_policies" ? Number.parseInt(key.slice(0, 2), 16) : 0;

/** What is not wanted in any form. */
function unwanted<K extends KernelObject["kind"]>(
  objects: readonly KernelObject[],
  kind: K,
  desired: readonly KernelObject[],
): Of<K>[] {
  const wanted = keysOf(desired, kind);
  return ofKind(objects, kind).filter((o) => !wanted.has(keyOf(o)));
}

const keysOf = (objects: readonly KernelObject[], kind: KernelObject["kind"]): Set<string> =>
  new Set(ofKind(objects, kind).map(keyOf));
const namesOfMaps = (objects: readonly KernelObject[]): Set<string> =>
  new Set(ofKind(objects, "bpf-map").map(({ name }) => name));
const hookOf = ({ device, direction }: TcFilter): string => `${device} ${direction}`;
/** As a filter names it. */
const nameOf = ({ object, hash }: Of<"bpf-program">): string => `${object} ${hash}`;
const mapsOf = ({ object }: BpfProgram): readonly string[] => OBJECTS[object as ObjectName]?.maps ?? [];

const createMap = (o: BpfMap): string =>
  `create ${o.version} ${o.name} ${o.type} ${o.key} ${o.value} ${o.entries} ${o.flags}`;
const removeMap = ({ version, name }: BpfMap): string => `remove ${version} ${name}`;
const dropMap = ({ version, name }: BpfMap): string => `drop ${version} ${name}`;
const putBack = ({ version, name }: BpfMap): string => `restore ${version} ${name}`;
const update = ({ map, key, value }: BpfEntry): string => `update ${map} ${key} ${value}`;
const remove = ({ map, key }: BpfEntry): string => `delete ${map} ${key}`;
const load = (o: BpfProgram): string => `load ${nameOf(o)} ${o.devices.join(" ")} ${mapsOf(o).join()}`;
const unload = (o: BpfProgram): string => `unload ${nameOf(o)}`;
const reload = (o: BpfProgram): string => `restore ${nameOf(o)}`;
const dropProgram = (o: BpfProgram): string => `drop ${nameOf(o)}`;
const keepProgram = (o: BpfProgram): string => `keep ${nameOf(o)}`;
const placeOf = ({ device, direction, program }: TcFilter): string => `${device} ${direction} ${program}`;
const attach = (o: TcFilter): string => `attach ${placeOf(o)} ${o.of}`;
const detach = (o: TcFilter): string => `detach ${placeOf(o)}`;
const bringBack = (o: TcFilter): string => `restore ${placeOf(o)}`;
const keepFilter = (o: TcFilter): string => `keep ${placeOf(o)}`;
