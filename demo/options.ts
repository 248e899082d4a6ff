import * as path from "node:path";
import { parseArgs } from "node:util";

export interface DemoOptions {
  readonly report: string | undefined;
  readonly keep: boolean;
  readonly help: boolean;
}

export const help = `Usage: npm run demo [-- OPTION]

Builds a small cluster out of network namespaces, gives some of its pods a fixed egress IP with
examples/quickstart and the real Pulumi CLI, breaks it by hand, repairs it, and takes it all away
again. Every claim is observed from outside; the first that does not hold ends the demo with exit
code 1. Takes about a minute.

  --report FILE   write what was observed as JSON
  --keep          leave the lab and the Pulumi project, and say how to look around
  --help          this text

Colours go to terminals only; NO_COLOR=1 turns them off.
`;

/** @throws Error that names what is wrong with the words given. */
export function parseOptions(argv: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: { report: { type: "string" }, keep: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  const { report, keep = false, help = false } = values;
  // npm starts scripts in the package's folder, and the name was typed in another.
  const file = report === undefined ? undefined : path.resolve(process.env.INIT_CWD ?? "", report);
  return { report: file, keep, help };
}
