import { address } from "../kernel/address";
import { ipRule } from "../kernel/ip-rule";
import { addMember, createSet, destroySet, type IpSet, removeMember, type SetMember } from "../kernel/ipset";
import { TABLES, type Table } from "../kernel/iptables";
import type { IpKind } from "../kernel/kind";
import { changeLink, type Link, link } from "../kernel/link";
import { neighbour } from "../kernel/neighbour";
import { route } from "../kernel/route";
import { type KernelObject, keyOf, textOf } from "../kernel/state";
import type { Sysctl } from "../kernel/sysctl";
import { restoreText, tableState, union } from "./iptables-text";
import { type Step, step } from "./step";

type IpObject = Extract<KernelObject, { kind: "address" | "neighbour" | "route" | "ip-rule" | "link" }>;
type Of<K extends KernelObject["kind"]> = Extract<KernelObject, { kind: K }>;

const IP_KINDS = { link, address, neighbour, route, "ip-rule": ipRule } as const;
const ipKind = (object: IpObject): IpKind<IpObject> => IP_KINDS[object.kind] as unknown as IpKind<IpObject>;

/** Chains whose old rules stay until the guards of the same batch stand: a packet that is admitted is always translated. */
const TRANSLATING = ["EGRESSGATEWAY-SNAT-EIP", "EGRESSGATEWAY-SNAT-BACKUP"];

/**
 * The least steps that turn `actual` into `desired`, in an order in which no selected packet leaves with another source:
 * paths and sets grow, rules change (translation before admission, admission gone before translation), paths and sets shrink.
 * The tunnel device is there only while the rules stand: a new one comes after them, one that goes is closed before them.
 */
export function plan(desired: readonly KernelObject[], actual: readonly KernelObject[]): Step[] {
  const changes = compare(desired, actual);
  const grown = [...growDevice(changes), ...growSysctls(changes), ...growPaths(changes)];
  return [
    ...probeEgressAddresses(changes),
    ...keepSysctls(changes),
    ...closeDevice(changes),
    ...(isNewDevice(changes) ? [] : grown),
    ...growSets(changes),
    ...changeRules(desired, actual),
    ...(isNewDevice(changes) ? grown : []),
    ...changeEgressAddresses(changes),
    ...shrinkPaths(changes),
    ...shrinkSets(changes),
  ];
}

interface Changes {
  readonly added: readonly KernelObject[];
  readonly removed: readonly KernelObject[];
  readonly device: { readonly from?: Link; readonly to?: Link };
  /** What goes with the tunnel device as it changes; undo puts it back. */
  readonly lost: readonly KernelObject[];
}

/** A changed object is removed and added, except for the tunnel device; what the device takes along counts as gone. */
function compare(desired: readonly KernelObject[], actual: readonly KernelObject[]): Changes {
  const to = desired.find((o): o is Link => o.kind === "link");
  const from = actual.find((o): o is Link => o.kind === "link");
  const lost = from ? actual.filter((o) => goesWith(o, from, to)) : [];
  const kept = actual.filter((o) => !lost.includes(o));
  const remade = new Set(
    ofKind(desired, "ipset")
      .filter((set) => isRemade(set, actual))
      .map(({ name }) => name),
  );
  const emptied = (o: KernelObject): boolean => o.kind === "ipset-member" && remade.has(o.set);
  const there = new Set(kept.filter((o) => !emptied(o)).map(textOf));
  const wanted = new Set(desired.map(textOf));
  return {
    added: desired.filter((o) => o.kind !== "link" && !there.has(textOf(o))),
    removed: kept.filter((o, i) => o.kind !== "link" && (!wanted.has(textOf(o)) || doubled(kept, i) || emptied(o))),
    device: { from, to },
    lost,
  };
}

/** A set with another type or timeout can't be changed: it is made again, without its members. */
const isRemade = (set: IpSet, actual: readonly KernelObject[]): boolean =>
  ofKind(actual, "ipset").some((other) => other.name === set.name && textOf(other) !== textOf(set));

/** A device that is removed takes all that lives on it; one with a new MAC its neighbours, permanent ones too (kernel: neigh_changeaddr). */
function goesWith(object: KernelObject, from: Link, to: Link | undefined): boolean {
  if (!livesOnDevice(object, from.name)) return false;
  return isGone(from, to) || (object.kind === "neighbour" && from.mac !== to?.mac);
}

const isGone = (from: Link, to: Link | undefined): boolean => to === undefined || changeLink(from, to) === undefined;
const isNewDevice = ({ device: { from, to } }: Changes): boolean => to !== undefined && (!from || isGone(from, to));

/** A rule that stands twice is removed once. Only the kernel's ip rules can be doubled. */
function doubled(objects: readonly KernelObject[], index: number): boolean {
  const object = objects[index];
  return object?.kind === "ip-rule" && objects.slice(0, index).some((other) => textOf(other) === textOf(object));
}

function livesOnDevice(object: KernelObject, device: string): boolean {
  switch (object.kind) {
    case "address":
    case "neighbour":
      return object.device === device;
    case "route":
      return object.leg?.device === device || `${object.other} `.includes(` dev ${device} `);
    case "sysctl":
      return object.name.includes(`/${device}/`);
    default:
      return false;
  }
}

const ofKind = <K extends KernelObject["kind"]>(objects: readonly KernelObject[], kind: K): Of<K>[] =>
  objects.filter((o): o is Of<K> => o.kind === kind);
const adds = (objects: readonly IpObject[]): string[] => objects.flatMap((o) => ipKind(o).add(o));
const removes = (objects: readonly IpObject[]): string[] => objects.flatMap((o) => ipKind(o).remove(o));
/** In the order in which they can be added: a leg needs the device's address, a rule comes last. */
const paths = (objects: readonly KernelObject[]): IpObject[] => [
  ...ofKind(objects, "address"),
  ...ofKind(objects, "neighbour"),
  ...ofKind(objects, "route").sort((a, b) => Number(a.leg !== undefined) - Number(b.leg !== undefined)),
  ...ofKind(objects, "ip-rule"),
];
const onTunnel = (o: Of<"address">): boolean => o.label === "" && o.device === "egw.vxlan";
const egressAddresses = (objects: readonly KernelObject[]): Of<"address">[] =>
  ofKind(objects, "address").filter((o) => !onTunnel(o));

const settings = (objects: readonly KernelObject[]): string[] =>
  ofKind(objects, "sysctl").map((o: Sysctl) => `${o.name} = ${o.value}`);

/** Changes nothing; its undo, the last of all, brings back the settings of a device that is made again. */
function keepSysctls({ lost }: Changes): Step[] {
  return step("sysctl", settings(lost), settings(lost));
}

/** Down, a device takes its routes and neighbours along, but not its addresses. */
function closeDevice({ device: { from, to }, lost }: Changes): Step[] {
  if (!from || !isGone(from, to)) return [];
  const legs = paths(lost).filter((o) => o.kind !== "address");
  return step(
    "ip",
    [`link set ${from.name} down`],
    [`link set ${from.name} ${from.up ? "up" : "down"}`, ...adds(legs)],
  );
}

function growDevice({ device: { from, to }, lost }: Changes): Step[] {
  if (!to) return [];
  if (!from) return step("ip", adds([to]), removes([to]));
  const inPlace = changeLink(from, to);
  if (inPlace) return step("ip", inPlace, [...(changeLink(to, from) ?? []), ...adds(paths(lost))]);
  return step(
    "ip",
    [...removes([from]), ...adds([to])],
    [...removes([to]), ...adds([from, ...ofKind(lost, "address")])],
  );
}

function growSysctls({ added, removed }: Changes): Step[] {
  return step("sysctl", settings(added), settings(removed));
}

/** A route or rule that changes keeps its key: `replace` puts the new one in place of the old one, a rule is added before its old one goes. */
function growPaths({ added, removed }: Changes): Step[] {
  const grown = paths(added.filter((o) => o.kind !== "address" || onTunnel(o)));
  const before = removed.filter((o): o is IpObject => o.kind === "neighbour" || o.kind === "route");
  const replaced = before.filter((o) => grown.some((other) => keyOf(other) === keyOf(o)));
  const fresh = grown.filter((o) => !replaced.some((other) => keyOf(other) === keyOf(o)));
  return step("ip", adds(grown), [...removes([...fresh].reverse()), ...adds(replaced)]);
}

/** Sets that select more than before: new ones, new members, exceptions that go. */
function growSets({ added, removed }: Changes): Step[] {
  const created = ofKind(added, "ipset");
  const wrong = ofKind(removed, "ipset").filter((set) => created.some(({ name }) => name === set.name));
  const isSwapped = (set: IpSet): boolean =>
    [wrong, created].every((sets) => sets.some(({ name, type }) => name === set.name && type === set.type));
  const fresh = new Set(created.map(({ name }) => name));
  const members = ofKind(added, "ipset-member").filter((member) => !member.nomatch || fresh.has(member.set));
  const exceptions = ofKind(removed, "ipset-member").filter((member) => member.nomatch && !goesWhole(removed, member));
  return step(
    "ipset",
    [
      ...created.filter(isSwapped).flatMap((set) => swapIn(set, added)),
      ...wrong.filter((set) => !isSwapped(set)).map(destroySet),
      ...created.filter((set) => !isSwapped(set)).map(createSet),
      ...exceptions.map(removeMember),
      ...members.map(addMember),
    ],
    [
      ...members.filter((member) => !fresh.has(member.set)).map(removeMember),
      ...exceptions.map(addMember),
      ...created.filter((set) => !isSwapped(set)).flatMap((set) => [`flush ${set.name}`, destroySet(set)]),
      ...wrong
        .filter((set) => !isSwapped(set))
        .flatMap((set) => [createSet(set), ...membersOf(set, removed).map(addMember)]),
      ...wrong.filter(isSwapped).flatMap((set) => swapIn(set, removed)),
    ],
  );
}

const SPARE = "egw-spare";

/** Rules go on naming a set while another takes its place; both have to be of one type (kernel: ip_set_swap). */
function swapIn(set: IpSet, objects: readonly KernelObject[]): string[] {
  const spare = { ...set, name: SPARE };
  const members = membersOf(set, objects).map((member) => addMember({ ...member, set: SPARE }));
  return [destroySet(spare), createSet(spare), ...members, `swap ${SPARE} ${set.name}`, destroySet(spare)];
}

const membersOf = ({ name }: IpSet, objects: readonly KernelObject[]): SetMember[] =>
  ofKind(objects, "ipset-member").filter((member) => member.set === name);

function changeRules(desired: readonly KernelObject[], actual: readonly KernelObject[]): Step[] {
  const change = (table: Table, from = tableState(actual, table), to = tableState(desired, table)): Step[] =>
    step("iptables", restoreText(table, from, to), restoreText(table, to, from));
  const natFrom = tableState(actual, "nat");
  const natTo = tableState(desired, "nat");
  const between = union(natFrom, natTo, TRANSLATING);
  return [
    ...change("nat", natFrom, between),
    ...TABLES.filter((table) => table !== "nat").flatMap((table) => change(table)),
    ...change("nat", between, natTo),
  ];
}

/** A new egress address is probed for a second holder (RFC 5227) before anything changes: the probe takes its time. */
function probeEgressAddresses({ added, removed }: Changes): Step[] {
  const known = new Set(egressAddresses(removed).map(({ address: ip }) => ip));
  const unknown = egressAddresses(added).filter(({ address: ip }) => !known.has(ip));
  return step(
    "arping",
    unknown.map((o) => `${o.device} ${o.address}`),
    [],
  );
}

/** Egress addresses come when all rules stand. */
function changeEgressAddresses({ added, removed }: Changes): Step[] {
  const fresh = egressAddresses(added);
  const stale = egressAddresses(removed);
  return step("ip", [...removes(stale), ...adds(fresh)], [...removes(fresh), ...adds(stale)]);
}

function shrinkPaths({ added, removed, device, lost }: Changes): Step[] {
  const replaced = (o: KernelObject): boolean =>
    o.kind !== "ip-rule" && added.some((other) => keyOf(other) === keyOf(o));
  const going = paths(removed.filter((o) => !replaced(o) && (o.kind !== "address" || onTunnel(o))));
  const dropped = device.from && !device.to ? [device.from] : [];
  return step(
    "ip",
    [...removes([...going].reverse()), ...removes(dropped)],
    adds([...dropped, ...(dropped.length > 0 ? ofKind(lost, "address") : []), ...going]),
  );
}

/** Sets that select less than before: members that go, new exceptions, sets that nothing names any more. */
function shrinkSets({ added, removed }: Changes): Step[] {
  const created = ofKind(added, "ipset").map(({ name }) => name);
  const gone = ofKind(removed, "ipset").filter((set) => !created.includes(set.name));
  const exceptions = ofKind(added, "ipset-member").filter((member) => member.nomatch && !created.includes(member.set));
  const members = ofKind(removed, "ipset-member");
  const leaving = members.filter((member) => !member.nomatch && !goesWhole(removed, member));
  return step(
    "ipset",
    [...leaving.map(removeMember), ...exceptions.map(addMember), ...gone.map(destroySet)],
    [
      ...gone.map(createSet),
      ...members.filter((member) => gone.some(({ name }) => name === member.set)).map(addMember),
      ...exceptions.map(removeMember),
      ...leaving.map(addMember),
    ],
  );
}

/** Members of a set that goes go with it. */
const goesWhole = (removed: readonly KernelObject[], { set }: SetMember): boolean =>
  removed.some((o) => o.kind === "ipset" && o.name === set);
