import type { BpfEntry } from "../kernel/bpf-entry";
import { OBJECTS, type ObjectName } from "../kernel/bpf-layout";
import type { BpfMap } from "../kernel/bpf-map";
import type { BpfProgram } from "../kernel/bpf-program";
import { type KernelObject, keyOf, textOf } from "../kernel/state";
import type { TcFilter } from "../kernel/tc-filter";
import { type Changes, ofKind } from "./changes";
import { type Step, step } from "./step";

/**
 * Maps, entries and programs come before the filters that use them, when the rules of the stack stand. A filter is swapped in one step;
 * one of a program that is loaded again gets the new one.
 */
export function growPrograms(changes: Changes, desired: readonly KernelObject[]): Step[] {
  const { added, removed } = changes;
  const maps = ofKind(added, "bpf-map");
  const remade = ofKind(removed, "bpf-map").filter((map) => maps.some((other) => keyOf(other) === keyOf(map)));
  const entries = ofKind(added, "bpf-entry");
  const former = replacedBy(entries, ofKind(removed, "bpf-entry"));
  // Programs go on using the map that they were loaded with.
  const programs = ofKind(maps.length > 0 ? desired : added, "bpf-program");
  const loaded = new Set(programs.map(({ object, hash }) => `${object} ${hash}`));
  const missing = new Set(ofKind(added, "tc-filter").map(textOf));
  const attached = ofKind(desired, "tc-filter").filter(
    (filter) => loaded.has(filter.of) || missing.has(textOf(filter)),
  );
  const before = ofKind(removed, "tc-filter");
  return [
    ...step(
      "bpf-map",
      [...remade.map(removeMap), ...maps.map(createMap)],
      [...maps.map(dropMap), ...remade.map(putBack)],
    ),
    ...step("bpf-entry", entries.map(update), [
      ...former.map(update),
      ...entries.filter((entry) => !former.some((other) => keyOf(other) === keyOf(entry))).map(remove),
    ]),
    ...step("bpf-program", programs.map(load), programs.map(unload)),
    ...step("tc", attached.map(attach), [
      ...attached.filter((filter) => !before.some((other) => keyOf(other) === keyOf(filter))).map(detach),
      ...before.filter((filter) => attached.some((other) => keyOf(other) === keyOf(filter))).map(attach),
    ]),
  ];
}

/** Filters, entries, programs and maps that nothing needs any more, when what they carried is cut: what they took goes through the stack then. */
export function shrinkPrograms({ added, removed }: Changes): Step[] {
  const kept = new Set(ofKind(added, "tc-filter").map(keyOf));
  const filters = ofKind(removed, "tc-filter").filter((filter) => !kept.has(keyOf(filter)));
  const maps = goneFor(removed, added, "bpf-map");
  const lost = new Set(maps.map(({ name }) => name));
  const entries = goneFor(removed, added, "bpf-entry").filter(({ map }) => !lost.has(map));
  const programs = goneFor(removed, added, "bpf-program");
  return [
    ...step("tc", answersFirst(filters).reverse().map(detach), answersFirst(filters).map(attach)),
    ...step("bpf-entry", entries.map(remove), entries.map(update)),
    ...step("bpf-program", programs.map(unload), programs.map(reload)),
    ...step("bpf-map", maps.map(removeMap), maps.map(putBack)),
  ].map((one) => ({ ...one, isAfterCuts: true }));
}

/** Programs that only take answers: there before any that begins something, and after. */
const ANSWERS = ["from_outside", "to_outside", "from_gateway", "uplink_client"];

function answersFirst(filters: readonly TcFilter[]): TcFilter[] {
  const isFirst = ({ program }: TcFilter): boolean => ANSWERS.includes(program);
  return [...filters.filter(isFirst), ...filters.filter((filter) => !isFirst(filter))];
}

/** What is removed and not put there in another form. */
function goneFor<K extends "bpf-map" | "bpf-entry" | "bpf-program">(
  removed: Changes["removed"],
  added: Changes["added"],
  kind: K,
) {
  const kept = new Set(ofKind(added, kind).map(keyOf));
  return ofKind(removed, kind).filter((o) => !kept.has(keyOf(o)));
}

function replacedBy(entries: readonly BpfEntry[], removed: readonly BpfEntry[]): BpfEntry[] {
  const keys = new Set(entries.map(keyOf));
  return removed.filter((entry) => keys.has(keyOf(entry)));
}

const createMap = (o: BpfMap): string =>
  `create ${o.version} ${o.name} ${o.type} ${o.key} ${o.value} ${o.entries} ${o.flags}`;
const removeMap = ({ version, name }: BpfMap): string => `remove ${version} ${name}`;
const dropMap = ({ version, name }: BpfMap): string => `drop ${version} ${name}`;
const putBack = ({ version, name }: BpfMap): string => `restore ${version} ${name}`;
const update = ({ map, key, value }: BpfEntry): string => `update ${map} ${key} ${value}`;
const remove = ({ map, key }: BpfEntry): string => `delete ${map} ${key}`;
const load = ({ object, hash, devices }: BpfProgram): string =>
  `load ${object} ${hash} ${devices.join(" ")} ${OBJECTS[object as ObjectName].maps.join()}`;
const unload = ({ object, hash }: BpfProgram): string => `unload ${object} ${hash}`;
const reload = ({ object, hash }: BpfProgram): string => `restore ${object} ${hash}`;
const attach = ({ device, direction, program, of }: TcFilter): string =>
  `attach ${device} ${direction} ${program} ${of}`;
const detach = ({ device, direction, program }: TcFilter): string => `detach ${device} ${direction} ${program}`;
