import type { Lab } from "../../test/lab";
import { say } from "../progress";
import { inRounds, type Rounds } from "../rounds";
import { batchesOf } from "./counts";
import { type Kind, kinds, type Projects, pulumi, stateBytes, type Timed } from "./project";

/** From an empty stack to an empty stack, both programs in turns. */
export interface Cycle {
  readonly firstPreview: Rounds<Kind, Timed>;
  readonly up: Readonly<Record<Kind, Timed>>;
  readonly cleanPreview: Rounds<Kind, Timed>;
  readonly destroy: Readonly<Record<Kind, Timed>>;
  readonly stateBytes: Readonly<Record<Kind, number>>;
  readonly batches: Readonly<Record<string, number>>;
}

export interface CycleOptions {
  readonly previews: number;
  readonly onLost: (what: string) => void;
}

const MINUTES = 10;
const APPLY = ["--yes", "--skip-preview"];

export async function runCycle(lab: Lab, projects: Projects, name: string, options: CycleOptions): Promise<Cycle> {
  const previews = (what: string, args: readonly string[]): Promise<Rounds<Kind, Timed>> =>
    inRounds(kinds, (kind) => pulumi(projects[kind], ["preview", ...args], MINUTES), {
      count: options.previews,
      onRound: (round) => say(`policies: ${name}: ${what}, round ${round} of ${options.previews}`),
      onLost: (lost) => options.onLost(`${what}, ${lost}`),
    });
  const both = async (what: string, args: readonly string[]): Promise<Record<Kind, Timed>> => {
    say(`policies: ${name}: ${what} of resources that do nothing`);
    const nothing = await pulumi(projects["no-op"], args, MINUTES);
    say(`policies: ${name}: ${what} of policies`);
    return { "no-op": nothing, egress: await pulumi(projects.egress, args, MINUTES) };
  };

  const firstPreview = await previews("first preview", []);
  const up = await both("up", ["up", ...APPLY]);
  const batches = await batchesOf(lab);
  const cleanPreview = await previews("clean preview", ["--expect-no-changes"]);
  const bytes = { "no-op": stateBytes(projects["no-op"], "no-op"), egress: stateBytes(projects.egress, "egress") };
  const destroy = await both("destroy", ["destroy", ...APPLY]);
  return { firstPreview, up, cleanPreview, destroy, stateBytes: bytes, batches };
}
