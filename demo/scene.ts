import { stripVTControlCharacters } from "node:util";
import type { PulumiProject } from "../test/engine/pulumi";
import type { Lab } from "../test/lab";
import type { Story } from "./story";

/** What a step on the lab works with. */
export interface Scene {
  readonly lab: Lab;
  readonly story: Story;
}

/** What a step with Pulumi works with. */
export interface PulumiScene extends Scene {
  readonly project: PulumiProject;
}

/** The egress IP of examples/quickstart, and the pods that it selects: two on client nodes, one on a gateway node. */
export const egressIP = "192.168.0.200";
export const selectedPods = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1"];
export const unselectedPod = "pod-client-1-2";

/** Runs pulumi, shows its output as it comes, checks its exit code, and gives what it printed without colours. */
export async function runPulumi(
  { project, story }: PulumiScene,
  args: readonly string[],
  exitCode: number,
): Promise<string> {
  const command = `pulumi ${args.join(" ")}`;
  story.screen.command(command);
  const shown = ["--color", story.screen.colours ? "always" : "never", "--suppress-progress"];
  const onLine = (line: string): void => story.screen.quote(line);
  const result = await project.run([...args, ...shown], { onLine });
  story.ran({ ...result, command });
  story.claim(`exit code ${exitCode}`, exitCode, result.code);
  return stripVTControlCharacters(result.stdout);
}
