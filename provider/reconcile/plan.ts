import { address, changeAddress } from "../kernel/address";
import { ipRule } from "../kernel/ip-rule";
import { type ChainRule, TABLES, type Table } from "../kernel/iptables";
import type { IpKind } from "../kernel/kind";
import { changeLink, link } from "../kernel/link";
import { neighbour } from "../kernel/neighbour";
import { route } from "../kernel/route";
import { type KernelObject, keyOf } from "../kernel/state";
import type { Sysctl } from "../kernel/sysctl";
import { type Changes, compare, isGone, isNewDevice, type Of, ofKind, otherForms } from "./changes";
import { restoreText, type TableState, tableState, union } from "./iptables-text";
import { growPrograms, keepPrograms, shrinkPrograms } from "./plan-bpf";
import { growSets, shrinkSets } from "./plan-sets";
import { type Step, step } from "./step";

type IpObject = Extract<KernelObject, { kind: "address" | "neighbour" | "route" | "ip-rule" | "link" }>;

const IP_KINDS = { link, address, neighbour, route, "ip-rule": ipRule } as const;
const ipKind = (object: IpObject): IpKind<IpObject> => IP_KINDS[object.kind] as unknown as IpKind<IpObject>;

/** Chains whose old rules stay until the guards of the same batch stand: a packet that is admitted is always translated. */
const TRANSLATING = ["EGRESSGATEWAY-SNAT-EIP", "EGRESSGATEWAY-SNAT-BACKUP"];

/**
 * The least steps that turn `actual` into `desired`, in an order in which no selected packet leaves with another source:
 * paths and sets grow, rules change (translation before admission, admission gone before translation), paths and sets shrink.
 * What a gateway lets out by the node's address goes first and comes last. Programs come when the rules stand, and go when what they carry is cut. The tunnel device is there only while the rules
 * stand: a new one comes after them, one that goes is closed before them.
 */
export function plan(desired: readonly KernelObject[], actual: readonly KernelObject[]): Step[] {
  const changes = compare(desired, actual);
  const first = withoutWayOut(actual, desired);
  const last = withoutWayOut(desired, actual);
  const free = withFreeSets(changes, first);
  const grown = [...growDevice(changes), ...growSysctls(changes), ...growPaths(changes)];
  return [
    ...probeEgressAddresses(changes),
    ...keepSysctls(changes),
    ...keepPrograms(changes, actual),
    ...changeTable("mangle", actual, first),
    ...closeDevice(changes),
    ...(isNewDevice(changes) ? [] : grown),
    ...freeSets(free, first),
    ...growSets(changes),
    ...changeRules(last, free),
    ...(isNewDevice(changes) ? grown : []),
    ...changeEgressAddresses(changes),
    ...growPrograms(changes, desired, actual),
    ...shrinkPaths(changes),
    ...shrinkSysctls(changes, desired),
    ...shrinkSets(changes),
    ...changeTable("mangle", last, desired),
    ...shrinkPrograms(changes, desired, actual),
  ];
}

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
  const isChanged = (o: KernelObject): boolean => removed.some((other) => keyOf(other) === keyOf(o));
  return step("sysctl", settings(added), [
    ...settings(removed),
    ...settings(asTheyWere(added.filter((o) => !isChanged(o)))),
  ]);
}

/** Settings of devices of others become what they were. */
function shrinkSysctls({ removed }: Changes, desired: readonly KernelObject[]): Step[] {
  const wanted = new Set(desired.map(keyOf));
  const gone = removed.filter((o) => !wanted.has(keyOf(o)));
  return step("sysctl", settings(asTheyWere(gone)), settings(asTheyWere(gone).length > 0 ? gone : []));
}

const asTheyWere = (objects: readonly KernelObject[]): Sysctl[] =>
  ofKind(objects, "sysctl").flatMap((o) => (o.former === undefined ? [] : [{ ...o, value: o.former }]));

/** A route or rule that changes keeps its key: `replace` puts the new one in place of the old one, a rule is added before its old one goes. */
function growPaths(changes: Changes): Step[] {
  const { added, removed } = changes;
  const changed = otherForms(changes).filter(({ to }) => onTunnel(to));
  const isChanged = (o: KernelObject): boolean => changed.some(({ to }) => to === o);
  const grown = paths(added.filter((o) => (o.kind !== "address" || onTunnel(o)) && !isChanged(o)));
  const before = removed.filter((o): o is IpObject => o.kind === "neighbour" || o.kind === "route");
  const replaced = before.filter((o) => grown.some((other) => keyOf(other) === keyOf(o)));
  const fresh = grown.filter((o) => !replaced.some((other) => keyOf(other) === keyOf(o)));
  return step(
    "ip",
    [...changed.flatMap(({ from, to }) => changeAddress(from, to)), ...adds(grown)],
    [
      ...removes([...fresh].reverse()),
      ...adds(replaced),
      ...changed.flatMap(({ from, to }) => changeAddress(to, from)),
    ],
  );
}

const RESET_MARK = "EGRESSGATEWAY-RESET-MARK";

/**
 * A set that was made again with another type can be neither swapped nor destroyed while rules name it. Where there is one,
 * its rules go while nothing is forwarded, until the commits that bring all rules back.
 */
function withFreeSets({ added, removed }: Changes, actual: readonly KernelObject[]): readonly KernelObject[] {
  const wanted = ofKind(added, "ipset");
  const retyped = ofKind(removed, "ipset").filter((set) =>
    wanted.some(({ name, type }) => name === set.name && type !== set.type),
  );
  const names = (o: KernelObject): boolean =>
    o.kind === "chain-rule" && retyped.some(({ name }) => o.rule.includes(`--match-set ${name} `));
  if (!actual.some(names)) return actual;
  const stays = (o: KernelObject): boolean => !names(o) && !(o.kind === "chain-rule" && o.chain === RESET_MARK);
  const closed = { kind: "chain-rule", table: "mangle", chain: RESET_MARK, position: 0, rule: "-j DROP" } as const;
  return [...actual.filter(stays), closed];
}

/** The guards' table first: it closes. */
function freeSets(free: readonly KernelObject[], actual: readonly KernelObject[]): Step[] {
  return free === actual ? [] : TABLES.flatMap((table) => changeTable(table, actual, free));
}

function changeRules(desired: readonly KernelObject[], actual: readonly KernelObject[]): Step[] {
  const natFrom = tableState(actual, "nat");
  const natTo = tableState(desired, "nat");
  const between = union(natFrom, natTo, TRANSLATING);
  return [
    ...commit("nat", natFrom, between),
    ...TABLES.filter((table) => table !== "nat").flatMap((table) => changeTable(table, actual, desired)),
    ...commit("nat", between, natTo),
  ];
}

const commit = (table: Table, from: TableState, to: TableState): Step[] =>
  step("iptables", restoreText(table, from, to), restoreText(table, to, from));

const changeTable = (table: Table, from: readonly KernelObject[], to: readonly KernelObject[]): Step[] =>
  commit(table, tableState(from, table), tableState(to, table));

/** Rules that let what can't take the tunnel leave by the node's address. */
const WAY_OUT = /^! -o egw\.vxlan .*-j (CONN)?MARK /;

/** A state with only those of them that the other one has too: while sets and rules change, nothing else may leave so. */
function withoutWayOut(objects: readonly KernelObject[], other: readonly KernelObject[]): readonly KernelObject[] {
  const shared = new Set(other.filter(isWayOut).map(({ rule }) => rule));
  return objects.filter((o) => !isWayOut(o) || shared.has(o.rule));
}

const isWayOut = (o: KernelObject): o is ChainRule =>
  o.kind === "chain-rule" && o.chain === RESET_MARK && WAY_OUT.test(o.rule);

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
function changeEgressAddresses(changes: Changes): Step[] {
  const forms = otherForms(changes);
  const changed = forms.filter(({ to }) => !onTunnel(to));
  const fresh = egressAddresses(changes.added).filter((o) => !forms.some(({ to }) => to === o));
  const stale = egressAddresses(changes.removed).filter((o) => !forms.some(({ from }) => from === o));
  return step(
    "ip",
    [...changed.flatMap(({ from, to }) => changeAddress(from, to)), ...removes(stale), ...adds(fresh)],
    [...removes(fresh), ...adds(stale), ...changed.flatMap(({ from, to }) => changeAddress(to, from))],
  );
}

function shrinkPaths(changes: Changes): Step[] {
  const { added, removed, device, lost } = changes;
  const forms = otherForms(changes);
  const replaced = (o: KernelObject): boolean =>
    o.kind === "address"
      ? forms.some(({ from }) => from === o)
      : o.kind !== "ip-rule" && added.some((other) => keyOf(other) === keyOf(o));
  const going = paths(removed.filter((o) => !replaced(o) && (o.kind !== "address" || onTunnel(o))));
  const dropped = device.from && !device.to ? [device.from] : [];
  return step(
    "ip",
    [...removes([...going].reverse()), ...removes(dropped)],
    adds([...dropped, ...(dropped.length > 0 ? ofKind(lost, "address") : []), ...going]),
  );
}
