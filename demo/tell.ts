import * as fs from "node:fs";
import * as path from "node:path";
import type { PulumiProject } from "../test/engine/pulumi";
import { freshLab } from "./demo-lab";
import { picture } from "./picture";
import { quickstart } from "./quickstart";
import { egressIP, type PulumiScene, runPulumi, type Scene, selectedPods } from "./scene";
import { callsByEgressIP, callsByNode } from "./steps/calls";
import { type Broken, breakByHand, previewDrift } from "./steps/drift";
import { claimUnchanged, type Dumps, dumpNodes } from "./steps/dumps";
import type { Story } from "./story";

/** The whole story. `onProject` gets the Pulumi project as soon as there is one. */
export async function tell(story: Story, onProject: (project: PulumiProject) => void): Promise<void> {
  const { scene, before } = await story.step(
    "A small cluster",
    "Every host is a network namespace, every node has a real sshd; none has heard of egress IPs.",
    () => build(story),
  );
  await story.step("Before", "Whom does the outside see when a pod calls? The node that it happens to run on.", () =>
    callsByNode(scene),
  );
  const project = await story.step(
    "A program",
    "examples/quickstart in a folder of its own, with the packed package installed and the SSH key as a secret.",
    async () => {
      const made = await quickstart(scene.lab, onProject);
      story.screen.command("cat index.ts");
      const program = fs.readFileSync(path.join(made.folder, "index.ts"), "utf8");
      for (const line of program.trimEnd().split("\n")) story.screen.quote(line);
      return made;
    },
  );
  await tellPulumi({ ...scene, project }, before);
}

async function build(story: Story): Promise<{ scene: Scene; before: Dumps }> {
  const lab = await freshLab();
  const selected = lab.pods.filter(({ name }) => selectedPods.includes(name)).map(({ address }) => address);
  for (const line of picture(lab, selected)) story.screen.quote(line);
  return { scene: { lab, story }, before: await dumpNodes(lab) };
}

async function tellPulumi(scene: PulumiScene, before: Dumps): Promise<void> {
  const { story } = scene;
  await story.step(
    "The plan",
    "A preview reads the nodes over SSH, decides everything, and changes nothing.",
    async () => {
      const printed = await runPulumi(scene, ["preview"], 0);
      story.claim("the plan already knows the egress IP", true, printed.includes(`egressIP: "${egressIP}"`));
      await claimUnchanged(scene, before);
    },
  );
  await story.step(
    "Up",
    "The nodes get a tunnel, marks, sets and rules, and a gateway node the egress IP.",
    async () => {
      await runPulumi(scene, ["up", "--yes", "--skip-preview"], 0);
    },
  );
  await story.step("After", "The selected pods leave by one fixed address, wherever they run.", () =>
    callsByEgressIP(scene),
  );
  const broken: readonly Broken[] = await story.step(
    "Somebody breaks it",
    "Four objects are removed behind Pulumi's back, with the plain tools.",
    () => breakByHand(scene),
  );
  await story.step(
    "Drift",
    "A plain preview compares with the kernel itself; exit code 7 is for a pipeline to see.",
    () => previewDrift(scene, broken),
  );
  await story.step(
    "Repair",
    "The next up puts back what is missing. It mends whole nodes: after the gateway, the policy needs nothing.",
    async () => {
      await runPulumi(scene, ["up", "--yes", "--skip-preview"], 0);
      await runPulumi(scene, ["preview", "--expect-no-changes"], 0);
      await callsByEgressIP(scene);
    },
  );
  await story.step(
    "Destroy",
    "Nothing stays: every node is compared with a dump from before, by a tool that shares no code with us.",
    async () => {
      await runPulumi(scene, ["destroy", "--yes", "--skip-preview"], 0);
      await claimUnchanged(scene, before);
      await callsByNode(scene);
    },
  );
}
