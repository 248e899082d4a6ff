import { compileNode } from "../compile/node";
import type { NodeFacts } from "../compile/view";
import { lines } from "../kernel/kind";
import type { KernelObject, Owned } from "../kernel/state";
import { parseAddress } from "../model/address";
import type { Claim } from "../model/claim";
import { isDeviceName } from "../model/rules/names";
import { parseSections, type Sections } from "../program/frame";
import { parseEntry, type RegistryEntry } from "../program/registry";
import { objectDigests, programsDigest } from "../transport/programs";
import { actualObjects, isAsRecorded } from "./actual";
import { carriedPods } from "./carried-pods";
import { parseClaims } from "./claims";
import { type NodeFiles, parseFiles } from "./files";
import { type HostFacts, parseHostFacts } from "./host-facts";
import { looseDevices } from "./loose-devices";
import { podDevices } from "./pod-devices";

/** Changes whenever the same claims compile to another state, or are none any more: then a node's digests no longer speak for its state. */
export const COMPILER = `15-${programsDigest()}`;

/** What a node remembers besides its claims: `node.json`. */
export interface NodeFile {
  readonly version: 1;
  readonly tables: Readonly<Record<string, number>>;
  /** The facts that the last apply compiled with. */
  readonly dropPolicies: readonly string[];
  /** Devices of selected pods that were there then, where programs take their packets. */
  readonly podDevices: readonly string[];
  /** Address of each gateway pod that the machine ran then → its device. */
  readonly carried?: Readonly<Record<string, string>>;
  /** Devices whose rp_filter we loosened → what it was, what it is to be, and the address that it is lent for that: `1 2 a.b.c.d`. */
  readonly loosened?: Readonly<Record<string, string>>;
  /** Digests of the boot program and its unit as they were put on the node, by name. */
  readonly restore: Readonly<Record<string, string>>;
}

/** One node as one round trip showed it. */
export interface Snapshot {
  readonly generation: number;
  readonly node: NodeFile | undefined;
  readonly claims: readonly Claim[];
  /** Owner ids whose claim files don't hold their claims. */
  readonly misread: readonly string[];
  readonly actual: readonly KernelObject[];
  /** The node's digests say that its kernel shows what its manifest compiles to. */
  readonly isAsRecorded: boolean;
  /** The manifest is as the last apply left it. */
  readonly isManifestWhole: boolean;
  readonly files: NodeFiles;
  readonly host: HostFacts;
  readonly registry: ReadonlyMap<string, readonly RegistryEntry[]>;
}

/** @throws Error if the answer is not whole. */
export function parseSnapshot(stdout: string): Snapshot {
  const sections = parseSections(stdout);
  if (!sections.has("end")) throw new Error("the answer ends too early");
  const text = (name: string): string => sections.get(name) ?? "";
  const node = parseNodeFile(text("node"));
  const { claims, misread } = parseClaims(text("claims"));
  const host = parseHostFacts(sections);
  const recorded: NodeFacts = {
    tables: node?.tables ?? {},
    dropPolicies: node?.dropPolicies ?? [],
    podDevices: node?.podDevices ?? [],
    carried: node?.carried ?? {},
    loosened: node?.loosened ?? {},
    objects: objectDigests(),
  };
  const isSame = isAsRecorded(sections, claims, recorded, factsOf(recorded, host, claims));
  let actual = isSame ? undefined : actualObjects(sections, claims, recorded);
  return {
    generation: Number(text("generation").trim() || 0),
    node,
    claims,
    misread,
    get actual() {
      actual ??= actualObjects(sections, claims, recorded);
      return actual;
    },
    isAsRecorded: isSame,
    isManifestWhole: !sections.has("manifest-changed") && misread.length === 0,
    files: parseFiles(sections),
    host,
    registry: parseRegistry(sections),
  };
}

/** What can't be read is as good as lost, and is put together again; that it differs is drift of the file. */
function parseNodeFile(text: string): NodeFile | undefined {
  const empty = {
    version: 1,
    tables: {},
    dropPolicies: [],
    podDevices: [],
    carried: {},
    loosened: {},
    restore: {},
  } as const;
  try {
    const found: unknown = JSON.parse(text);
    if (found === null || typeof found !== "object") return undefined;
    const fits = (name: string, value: unknown): boolean =>
      value !== null &&
      typeof value === typeof empty[name as keyof typeof empty] &&
      Array.isArray(value) === Array.isArray(empty[name as keyof typeof empty]) &&
      (name !== "podDevices" ||
        (value as readonly unknown[]).every((one) => typeof one === "string" && isDeviceName(one))) &&
      (name !== "carried" ||
        Object.entries(value as object).every(([ip, one]) => parseAddress(ip) !== undefined && isDeviceName(one))) &&
      (name !== "loosened" ||
        Object.entries(value as object).every(
          ([device, was]) => isDeviceName(device) && /^[01] 2( [0-9.]+)?$/.test(was),
        )) &&
      (name !== "tables" || Object.values(value as object).every(Number.isSafeInteger));
    const entries = Object.entries(found).filter(([name, value]) => name in empty && fits(name, value));
    return { ...empty, ...Object.fromEntries(entries) };
  } catch {
    return undefined;
  }
}

/** What the claims on a node, or others in their place, compile to there. */
export const compiledOn = ({ claims, node, host }: Snapshot, instead: readonly Claim[] = claims): Owned[] =>
  compileNode(instead, factsOf(node ?? { tables: {} }, host, instead));

/** What a node is, for claims on it. `held`: what it has allocated, and what it has loosened. */
export const factsOf = (
  { tables, loosened }: Pick<NodeFacts, "tables" | "loosened">,
  host: HostFacts,
  claims: readonly Claim[],
): NodeFacts => ({
  tables,
  dropPolicies: host.dropPolicies,
  podDevices: podDevices(claims, host),
  carried: carriedPods(claims, host),
  loosened: looseDevices(claims, host, loosened),
  objects: objectDigests(),
});

/** Entries by fleet. One that is not as it was written is as good as lost: who holds it claims it again. */
function parseRegistry(sections: Sections): Map<string, RegistryEntry[]> {
  const registry = new Map<string, RegistryEntry[]>();
  for (const [name, text] of sections) {
    if (name.startsWith("registry/"))
      registry.set(
        name.slice("registry/".length),
        lines(text).flatMap((line) => {
          const [key = "", ...rest] = line.split(" ");
          const entry = parseEntry(rest.join(" "));
          return entry?.key === key ? [entry] : [];
        }),
      );
  }
  return registry;
}
