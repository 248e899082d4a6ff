import { address, type DeviceAddress } from "./address";
import { type BpfEntry, bpfEntry } from "./bpf-entry";
import { type BpfMap, bpfMap } from "./bpf-map";
import { type BpfProgram, bpfProgram } from "./bpf-program";
import { type IpRule, ipRule } from "./ip-rule";
import { type IpSet, ipset, type SetMember, setMember } from "./ipset";
import { type Chain, type ChainRule, chain, chainRule, type Hook, hook } from "./iptables";
import type { Kind } from "./kind";
import { type Link, link } from "./link";
import { type Neighbour, neighbour } from "./neighbour";
import { type Route, route } from "./route";
import { type Sysctl, sysctl } from "./sysctl";
import { type TcFilter, tcFilter } from "./tc-filter";

export type KernelObject =
  | Sysctl
  | Link
  | DeviceAddress
  | Neighbour
  | Route
  | IpRule
  | IpSet
  | SetMember
  | Chain
  | ChainRule
  | Hook
  | BpfMap
  | BpfEntry
  | BpfProgram
  | TcFilter;
export type KindName = KernelObject["kind"];

/** All kinds that we program; lists of cases in tests are made from this. */
export const KINDS = {
  link,
  sysctl,
  address,
  neighbour,
  route,
  "ip-rule": ipRule,
  ipset,
  "ipset-member": setMember,
  chain,
  "chain-rule": chainRule,
  hook,
  "bpf-map": bpfMap,
  "bpf-entry": bpfEntry,
  "bpf-program": bpfProgram,
  "tc-filter": tcFilter,
} as const;

/** A part of a node's state with the owner that is told when it drifts. */
export interface Owned {
  readonly object: KernelObject;
  /** Owner id of the claim that put it there; the first of several. */
  readonly owner: string;
}

function kindOf<T extends KernelObject>(object: T): Kind<T> {
  return KINDS[object.kind] as unknown as Kind<T>;
}

export const keyOf = (object: KernelObject): string => kindOf(object).key(object);
export const textOf = (object: KernelObject): string => kindOf(object).text(object);

/** Byte order, the same in every locale. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
