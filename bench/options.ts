import * as path from "node:path";
import { parseArgs } from "node:util";

export const partNames = ["throughput", "policies", "state"] as const;
export type PartName = (typeof partNames)[number];

export interface BenchOptions {
  readonly quick: boolean;
  readonly json: string | undefined;
  readonly only: readonly PartName[];
  readonly help: boolean;
}

export const help = `Usage: npm run bench [-- OPTION]

Measures on labs of its own (network namespaces, real SSH, the real Pulumi CLI), side by side in one
run, and prints ratios: of bare times and rates a machine like this one says little.

  throughput   a pod through the gateway, against plain masquerade and against no NAT
  policies     preview and up of 200 policies on 10 nodes, against as many resources that do nothing
  state        size of the state of 1,000 policies on 50 nodes

Takes about eight minutes on a quiet machine with two cores.

  --quick        a small run, under two minutes: fewer rounds, 40 policies on 4 nodes
  --only PART    one of the above; several with commas
  --json FILE    also write all figures there, each round's too
  --help         this text
`;

/** @throws Error that names what is wrong with the words given. */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean" },
      json: { type: "string" },
      only: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const { quick = false, json, only, help = false } = values;
  // npm starts scripts in the package's folder, and the name was typed in another.
  const file = json === undefined ? undefined : path.resolve(process.env.INIT_CWD ?? "", json);
  return { quick, json: file, only: only === undefined ? partNames : only.split(",").map(partName), help };
}

function partName(text: string): PartName {
  const found = partNames.find((name) => name === text.trim());
  if (!found) throw new Error(`--only: there is no part "${text}". It is one of ${partNames.join(", ")}.`);
  return found;
}
