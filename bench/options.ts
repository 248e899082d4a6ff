import * as path from "node:path";
import { parseArgs } from "node:util";

export const partNames = ["policies", "state", "traffic", "cpu", "entries", "throughput"] as const;
export type PartName = (typeof partNames)[number];

/** Several parts by one name. */
const groups: Readonly<Record<string, readonly PartName[]>> = { bpf: ["traffic", "cpu", "entries"] };
/** Of those that are run when none is named; `traffic` has all paths that `throughput` has but one. */
const whole = partNames.filter((name) => name !== "throughput");

export interface BenchOptions {
  readonly quick: boolean;
  readonly json: string | undefined;
  readonly only: readonly PartName[];
  readonly help: boolean;
}

export const help = `Usage: npm run bench [-- [PART…] [OPTION]]

Measures on labs of its own (network namespaces, real SSH, the real Pulumi CLI), side by side in one
run, and prints ratios: of bare times and rates a machine like this one says little.

  policies     preview and up of 200 policies on 10 nodes, against as many resources that do nothing
  state        size of the state of 1,000 policies on 50 nodes
  traffic      a pod through a gateway of either datapath, against plain masquerade and against no NAT
  cpu          what a packet, a connection and a request cost each node on its own, up to 100,000 sources
  entries      what each BPF program costs a packet, up to 100,000 entries, and how long these take
  throughput   only when named: iptables with 1 and 200 policies, and pods that no policy selects
  bpf          traffic, cpu and entries

All but throughput take about a quarter of an hour on two cores, bpf some ten
minutes of it. Figures that were made while others use the cores are void.

  --quick        a small run: fewer rounds, 40 policies on 4 nodes
  --only PART    as PART; several with commas
  --json FILE    also write all figures there, each round's too
  --help         this text
`;

/** @throws Error that names what is wrong with the words given. */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
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
  const named = [...positionals, ...(only?.split(",") ?? [])].flatMap(partsNamed);
  return { quick, json: file, only: named.length === 0 ? whole : [...new Set(named)], help };
}

function partsNamed(text: string): readonly PartName[] {
  const name = text.trim();
  const found = groups[name] ?? partNames.filter((one) => one === name);
  if (found.length > 0) return found;
  const known = [...partNames, ...Object.keys(groups)];
  throw new Error(`there is no part ${JSON.stringify(text)}. It is one of ${known.join(", ")}.`);
}
