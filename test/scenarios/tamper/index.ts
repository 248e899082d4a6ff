import { compileNode } from "../../../provider/compile/node";
import type { NodeFacts } from "../../../provider/compile/view";
import { KINDS, type KindName } from "../../../provider/kernel/state";
import type { Claim } from "../../../provider/model/claim";
import { FILE, STATE_FILES } from "../../../provider/program/files";
import { objectDigests } from "../../../provider/transport/programs";
import { execOk, type Lab } from "../../lab";
import { address, link, sysctl } from "./device";
import { fileTampers } from "./files";
import { isTaken, type Part, partsOf } from "./lines";
import { ipRule, neighbour, route } from "./paths";
import { bpfEntry, bpfMap, bpfProgram, tcFilter, USES_SCRIPT, type Uses, usesIn } from "./programs";
import { chain, chainRule, hook } from "./rules";
import { ipset, ipsetMember } from "./sets";
import type { Tamper, Tampers } from "./tamper";

/** Every kind that is programmed can be tampered with; a new kind without an entry doesn't compile. */
const TAMPERS: { readonly [K in KindName]: Tampers<K> } = {
  link,
  sysctl,
  address,
  neighbour,
  route,
  "ip-rule": ipRule,
  ipset,
  "ipset-member": ipsetMember,
  chain,
  "chain-rule": chainRule,
  hook,
  "bpf-map": bpfMap,
  "bpf-entry": bpfEntry,
  "bpf-program": bpfProgram,
  "tc-filter": tcFilter,
};

/** Files have no kind of their own in the kernel. */
export type Kind = KindName | typeof FILE;

/** A tamper with one object of one node. */
export interface Case extends Tamper {
  readonly node: string;
  readonly role: "client" | "gateway";
  readonly kind: Kind;
  /** The parts of lines of defence that are gone with it. */
  readonly takes: readonly Part[];
}

const OF_PROGRAMS: readonly Kind[] = ["bpf-map", "bpf-entry", "bpf-program", "tc-filter"];
/** The kinds that a fleet has whose gateways have programs, or have none. */
export const kindNamesOf = (hasPrograms: boolean): Kind[] =>
  (Object.keys(KINDS) as Kind[]).concat(FILE).filter((kind) => hasPrograms || !OF_PROGRAMS.includes(kind));

/** A node as its manifest has it. */
export interface Manifest {
  readonly node: string;
  readonly role: Case["role"];
  readonly claims: readonly Claim[];
  readonly facts: NodeFacts;
  readonly uses?: Uses;
}

/** All that somebody could do by hand to a fleet as it is now. */
export async function casesOf(lab: Lab): Promise<Case[]> {
  return casesFrom(await Promise.all(lab.nodes.map(({ name, role }) => manifestOf(lab, name, role))));
}

export function casesFrom(fleet: readonly Manifest[]): Case[] {
  const gateways = fleet.flatMap(({ node, role }) => (role === "gateway" ? [node] : []));
  return fleet.flatMap(({ node, role, claims, facts, uses }) => {
    const state = compileNode(claims, facts);
    const nodeOwner = claims.find(({ kind }) => kind === "node")?.owner.id ?? "";
    const named = new Map(claims.map(({ owner }) => [owner.id, owner.name]));
    const parts = partsOf(node, gateways, state);
    const asCase = (kind: Kind, tamper: Tamper): Case => ({
      ...tamper,
      told: tamper.told.map((told) => ({ ...told, owner: named.get(told.owner) ?? told.owner })),
      takes: parts.filter((part) => isTaken(part, tamper.told, state)),
      node,
      role,
      kind,
    });
    const objects = state.flatMap(({ object, owner }) => {
      const tampers = TAMPERS[object.kind] as Tampers<KindName>;
      return tampers(object, owner, { state, nodeOwner, ...(uses && { uses }) }).map((tamper) =>
        asCase(object.kind, tamper),
      );
    });
    return [...objects, ...fileTampers(STATE_FILES, nodeOwner).map((tamper) => asCase(FILE, tamper))];
  });
}

async function manifestOf(lab: Lab, node: string, role: Case["role"]): Promise<Manifest> {
  const read = (files: string) => execOk(lab, node, ["sh", "-c", `cat /var/lib/pulumi-egress/${files}`]);
  const [claimLines, facts, uses] = await Promise.all([
    read("claims/*.json"),
    read("node.json"),
    execOk(lab, node, ["sh", "-c", USES_SCRIPT]),
  ]);
  const claims = claimLines
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Claim);
  return { node, role, claims, facts: { ...JSON.parse(facts), objects: objectDigests() }, uses: usesIn(uses) };
}
