import { address } from "../kernel/address";
import { ipRule } from "../kernel/ip-rule";
import { addMember, createSet, destroySet, removeMember, type SetMember } from "../kernel/ipset";
import { type Table, TABLES } from "../kernel/iptables";
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
 */
export function plan(desired: readonly KernelObject[], actual: readonly KernelObject[]): Step[] {
  const changes = compare(desired, actual);
  return [
    ...growDevice(changes),
    ...growSysctls(changes),
    ...growPaths(changes),
    ...growSets(changes),
    ...changeRules(desired, actual),
    ...changeEgressAddresses(changes),
    ...shrinkPaths(changes),
    ...shrinkSets(changes, actual),
  ];
}

interface Changes {
  readonly added: readonly KernelObject[];
  readonly removed: readonly KernelObject[];
  readonly device?: { readonly from?: Link; readonly to?: Link; readonly inPlace?: readonly string[] };
}

/** A changed object is removed and added, except for the tunnel device; what a new device takes with it counts as gone. */
function compare(desired: readonly KernelObject[], actual: readonly KernelObject[]): Changes {
  const to = desired.find((o): o is Link => o.kind === "link");
  const from = actual.find((o): o is Link => o.kind === "link");
  const inPlace = from && to ? changeLink(from, to) : undefined;
  const recreated = from !== undefined && inPlace === undefined;
  const kept = actual.filter((o) => !(recreated && livesOnDevice(o, from.name)));
  const there = new Set(kept.map(textOf));
  const wanted = new Set(desired.map(textOf));
  return {
    added: desired.filter((o) => o.kind !== "link" && !there.has(textOf(o))),
    removed: kept.filter((o, i) => o.kind !== "link" && (!wanted.has(textOf(o)) || doubled(kept, i))),
    device: { from, to, inPlace },
  };
}

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
      return object.leg?.device === device;
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
const onTunnel = (o: Of<"address">): boolean => o.label === "" && o.device === "egw.vxlan";

function growDevice({ device }: Changes): Step[] {
  const { from, to, inPlace } = device ?? {};
  if (!to) return [];
  if (!from) return step("ip", adds([to]), removes([to]));
  if (inPlace) return step("ip", inPlace, changeLink(to, from) ?? []);
  return step("ip", [...removes([from]), ...adds([to])], [...removes([to]), ...adds([from])]);
}

function growSysctls({ added, removed }: Changes): Step[] {
  const write = (o: Sysctl): string => `${o.name} = ${o.value}`;
  const former = ofKind(removed, "sysctl");
  return step("sysctl", ofKind(added, "sysctl").map(write), former.map(write));
}

/** A route or rule that changes keeps its key: `replace` puts the new one in place of the old one, a rule is added before its old one goes. */
function growPaths({ added, removed }: Changes): Step[] {
  const routes = ofKind(added, "route").sort((a, b) => Number(a.leg !== undefined) - Number(b.leg !== undefined));
  const grown: IpObject[] = [...ofKind(added, "address").filter(onTunnel), ...ofKind(added, "neighbour"), ...routes, ...ofKind(added, "ip-rule")];
  const before = removed.filter((o): o is IpObject => o.kind === "neighbour" || o.kind === "route");
  const replaced = before.filter((o) => grown.some((other) => keyOf(other) === keyOf(o)));
  const fresh = grown.filter((o) => !replaced.some((other) => keyOf(other) === keyOf(o)));
  return step("ip", adds(grown), [...removes([...fresh].reverse()), ...adds(replaced)]);
}

function growSets({ added, removed }: Changes): Step[] {
  const wrong = ofKind(removed, "ipset").filter((set) => added.some((o) => o.kind === "ipset" && o.name === set.name));
  const created = ofKind(added, "ipset");
  const createdNames = new Set(created.map((set) => set.name));
  const gone = new Set(ofKind(removed, "ipset").map((set) => set.name));
  const members = ofKind(added, "ipset-member");
  // Members of a set that goes as a whole go with it.
  const leaving = ofKind(removed, "ipset-member").filter((member) => !gone.has(member.set));
  const flipped = leaving.filter((member) => members.some((other) => keyOf(other) === keyOf(member)));
  const input = [
    ...wrong.map(destroySet),
    ...created.map(createSet),
    ...flipped.map(removeMember),
    ...members.map(addMember),
    ...leaving.filter((member) => !flipped.includes(member)).map(removeMember),
  ];
  const undo = [
    ...members.filter((member) => !createdNames.has(member.set)).map(removeMember),
    ...leaving.map(addMember),
    ...created.map((set) => `flush ${set.name}`),
    ...created.map(destroySet),
    ...wrong.map(createSet),
  ];
  return step("ipset", input, undo);
}

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

/** Egress addresses come when all rules stand. A new one is probed for a second holder first (RFC 5227). */
function changeEgressAddresses({ added, removed }: Changes): Step[] {
  const fresh = ofKind(added, "address").filter((o) => !onTunnel(o));
  const stale = ofKind(removed, "address").filter((o) => !onTunnel(o));
  const unknown = fresh.filter((o) => !stale.some((other) => other.address === o.address));
  return [
    ...step("arping", unknown.map((o) => `${o.device} ${o.address}`), []),
    ...step("ip", [...removes(stale), ...adds(fresh)], [...removes(fresh), ...adds(stale)]),
  ];
}

function shrinkPaths({ added, removed, device }: Changes): Step[] {
  const replaced = (o: KernelObject): boolean => o.kind !== "ip-rule" && added.some((other) => keyOf(other) === keyOf(o));
  const paths: IpObject[] = [...ofKind(removed, "ip-rule"), ...ofKind(removed, "route"), ...ofKind(removed, "neighbour")];
  const going: IpObject[] = [...paths.filter((o) => !replaced(o)), ...ofKind(removed, "address").filter(onTunnel)];
  const dropped = device?.from && !device.to ? [device.from] : [];
  const shrinking = dropped.length > 0 ? going.filter((o) => !livesOnDevice(o, dropped[0]?.name ?? "")) : going;
  const back = [...dropped, ...[...going].reverse()];
  return step("ip", [...removes(shrinking), ...removes(dropped)], adds(back));
}

function shrinkSets({ added, removed }: Changes, actual: readonly KernelObject[]): Step[] {
  const gone = ofKind(removed, "ipset").filter((set) => !added.some((o) => o.kind === "ipset" && o.name === set.name));
  const names = new Set(gone.map((set) => set.name));
  const members = actual.filter((o): o is SetMember => o.kind === "ipset-member" && names.has(o.set));
  return step("ipset", gone.map(destroySet), [...gone.map(createSet), ...members.map(addMember)]);
}
