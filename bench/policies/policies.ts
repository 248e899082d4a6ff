import { labDown, labUp } from "../../test/lab";
import { atEnd } from "../cleanup";
import { say } from "../progress";
import type { PartResult } from "../result";
import { countRoundTrips } from "./counts";
import { type Cycle, runCycle } from "./cycle";
import { cycleRows, factsOf, problemsOf } from "./findings";
import { planOf, type Size } from "./plan";
import { kinds, makeProjects, pulumi } from "./project";

const NAME = "benchpol";

interface Scale extends Size {
  readonly clients: number;
  readonly gateways: number;
  readonly previews: number;
  readonly cycles: number;
  /** No further cycle begins that would end after this. */
  readonly seconds: number;
}

const full: Scale = {
  policies: 200,
  sources: 50,
  destinations: 5,
  clients: 8,
  gateways: 2,
  previews: 3,
  cycles: 3,
  seconds: 230,
};
const quick: Scale = { ...full, policies: 40, clients: 3, gateways: 1, previews: 1, cycles: 1 };

/** Policies by the real CLI against as many resources that do nothing; round trips and bytes a node. */
export async function policies(isQuick: boolean): Promise<PartResult> {
  const scale = isQuick ? quick : full;
  const began = Date.now();
  say(`policies: builds a lab of ${scale.clients} client nodes and ${scale.gateways} gateway nodes`);
  await labDown(NAME);
  atEnd(() => labDown(NAME));
  const lab = await labUp({ name: NAME, clients: scale.clients, gateways: scale.gateways });
  const plan = planOf(lab, scale);
  const projects = await makeProjects(lab, plan);
  say("policies: a first run of each, not counted");
  for (const kind of kinds) await pulumi(projects[kind], ["preview"], 5);

  const problems: string[] = [];
  const cycles: Cycle[] = [];
  const hasTimeFor = (milliseconds: number): boolean => Date.now() + milliseconds - began < scale.seconds * 1000;
  do {
    const options = { previews: scale.previews, onLost: (what: string) => void problems.push(what) };
    cycles.push(await runCycle(lab, projects, `cycle ${cycles.length + 1}`, options));
  } while (cycles.length < scale.cycles && hasTimeFor((Date.now() - began) / cycles.length));
  say("policies: counts round trips in process");
  const counts = await countRoundTrips(lab, plan);
  return {
    title: `policies: ${scale.policies} policies (${scale.sources} sources, ${scale.destinations} destinations each) on ${lab.nodes.length} nodes, pulumi CLI, time against as many resources that do nothing`,
    rows: cycleRows(cycles),
    facts: factsOf(cycles, counts, scale),
    problems: [...problems, ...problemsOf(counts)],
    raw: { scale, cycles, counts },
  };
}
