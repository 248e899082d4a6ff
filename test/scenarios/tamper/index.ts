import { compileNode } from "../../../provider/compile/node";
import { KINDS, type KindName, type Owned } from "../../../provider/kernel/state";
import type { Claim } from "../../../provider/model/claim";
import { FILE, STATE_FILES } from "../../../provider/program/files";
import { execOk, type Lab } from "../../lab";
import { address, link, sysctl } from "./device";
import { fileTampers } from "./files";
import { ipRule, neighbour, route } from "./paths";
import { chain, chainRule, hook } from "./rules";
import { ipset, ipsetMember } from "./sets";
import type { Scene, Tamper, Tampers } from "./tamper";

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
};

/** Files have no kind of their own in the kernel. */
export type Kind = KindName | typeof FILE;

/** A tamper with one object of one node. */
export interface Case extends Tamper {
  readonly node: string;
  readonly role: "client" | "gateway";
  readonly kind: Kind;
}

export const kindNames = [...(Object.keys(KINDS) as KindName[]), FILE] as const satisfies readonly Kind[];

/** All that somebody could do by hand to a fleet as it is now. */
export async function casesOf(lab: Lab): Promise<Case[]> {
  const all = await Promise.all(
    lab.nodes.map(async ({ name: node, role }) => {
      const scene = await sceneOf(lab, node);
      const named = new Map(scene.owners);
      const asCase = (kind: Kind, tamper: Tamper): Case => ({
        ...tamper,
        told: tamper.told.map((told) => ({ ...told, owner: named.get(told.owner) ?? told.owner })),
        node,
        role,
        kind,
      });
      const objects = scene.state.flatMap(({ object, owner }) => {
        const tampers = TAMPERS[object.kind] as Tampers<KindName>;
        return tampers(object, owner, scene).map((tamper) => asCase(object.kind, tamper));
      });
      return [...objects, ...fileTampers(STATE_FILES, scene.nodeOwner).map((tamper) => asCase(FILE, tamper))];
    }),
  );
  return all.flat();
}

/** What a node's manifest compiles to, and the name of each owner. */
async function sceneOf(lab: Lab, node: string): Promise<Scene & { readonly owners: [string, string][] }> {
  const read = (files: string) => execOk(lab, node, ["sh", "-c", `cat /var/lib/pulumi-egress/${files}`]);
  const [claimLines, facts] = await Promise.all([read("claims/*.json"), read("node.json")]);
  const claims = claimLines
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Claim);
  const state: Owned[] = compileNode(claims, JSON.parse(facts));
  const nodeOwner = claims.find(({ kind }) => kind === "node")?.owner.id ?? "";
  return { state, nodeOwner, owners: claims.map(({ owner }) => [owner.id, owner.name]) };
}
