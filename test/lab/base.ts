import * as fs from "node:fs";
import * as path from "node:path";
import { type Dump, parseDump, printDump, readDump } from "./dump";
import { execOk } from "./exec";
import { nodeDirectory } from "./lab-directory";
import type { Lab } from "./topology";

/** What a node was when the lab had just come up. */
export interface Base {
  readonly dump: Dump;
  /** The whole of iptables, for iptables-restore. */
  readonly iptables: string;
}

export async function saveBase(lab: Lab): Promise<void> {
  await Promise.all(
    lab.nodes.map(async ({ name }) => {
      const [dump, iptables] = await Promise.all([readDump(lab, name), execOk(lab, name, ["iptables-save"])]);
      fs.writeFileSync(path.join(nodeDirectory(lab, name), "base.dump"), printDump(dump));
      fs.writeFileSync(path.join(nodeDirectory(lab, name), "base.iptables"), iptables);
    }),
  );
}

export function loadBase(lab: Lab, node: string): Base {
  const read = (name: string): string => fs.readFileSync(path.join(nodeDirectory(lab, node), name), "utf8");
  return { dump: parseDump(read("base.dump")), iptables: read("base.iptables") };
}
