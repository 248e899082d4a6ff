import { copyFileSync, statSync } from "node:fs";
import * as path from "node:path";
import { installLink } from "../../test/engine/install";
import { PulumiProject } from "../../test/engine/pulumi";
import type { Lab } from "../../test/lab";
import { run } from "../../test/lab/run";
import { atEnd } from "../cleanup";
import { type Busy, watchCores } from "../cpu";
import { sourceFile } from "../source-file";
import type { Plan } from "./plan";

export const kinds = ["no-op", "egress"] as const;
export type Kind = (typeof kinds)[number];
export type Projects = Readonly<Record<Kind, PulumiProject>>;

/** One run of the CLI. */
export interface Timed {
  readonly seconds: number;
  readonly busy: Busy;
}

/** Both programs, each in a project of its own on the lab's operator, with an empty stack. */
export async function makeProjects(lab: Lab, plan: Plan): Promise<Projects> {
  return { "no-op": await makeProject(lab, plan, "no-op"), egress: await makeProject(lab, plan, "egress") };
}

async function makeProject(lab: Lab, plan: Plan, kind: Kind): Promise<PulumiProject> {
  const project = new PulumiProject(lab);
  atEnd(() => project.remove());
  installLink(project.folder);
  copyFileSync(sourceFile(`policies/${kind}.js`), path.join(project.folder, "index.js"));
  project.write({
    "plan.json": JSON.stringify(plan),
    "package.json": `${JSON.stringify({ name: `bench-${kind}`, main: "index.js" })}\n`,
    "Pulumi.yaml": `name: bench-${kind}\nruntime: { name: nodejs, options: { typescript: false } }\n`,
  });
  await project.ok("stack", "init", "dev");
  return project;
}

/** @throws Error with the end of what the CLI printed, unless it ends with exit code 0. */
export async function pulumi(project: PulumiProject, args: readonly string[], minutes: number): Promise<Timed> {
  const busySince = watchCores();
  const began = Date.now();
  const { code, stdout, stderr } = await run(project.argv([...args, "--non-interactive", "--color", "never"]), {
    cwd: project.folder,
    env: { ...process.env, ...project.env },
    timeoutMs: minutes * 60_000,
  });
  if (code !== 0)
    throw new Error(`pulumi ${args.join(" ")} ended with exit code ${code}:\n${`${stdout}\n${stderr}`.slice(-2000)}`);
  return { seconds: (Date.now() - began) / 1000, busy: busySince() };
}

/** What the backend keeps of the stack, in bytes. */
export function stateBytes(project: PulumiProject, kind: Kind): number {
  return statSync(path.join(project.state, ".pulumi/stacks", `bench-${kind}`, "dev.json")).size;
}
