import * as fs from "node:fs";
import * as path from "node:path";
import { setKey } from "../test/engine/engine-project";
import { installTarball, packPackage, root } from "../test/engine/install";
import { PulumiProject } from "../test/engine/pulumi";
import type { Lab } from "../test/lab";

/** examples/quickstart in a folder of its own, with the package installed as npm would, and an empty stack. */
export async function quickstart(lab: Lab, onProject: (project: PulumiProject) => void): Promise<PulumiProject> {
  const project = new PulumiProject(lab);
  onProject(project);
  const isSource = (file: string): boolean => !/^(node_modules|Pulumi\..+\.yaml)$/.test(path.basename(file));
  fs.cpSync(path.join(root, "examples/quickstart"), project.folder, { recursive: true, filter: isSource });
  await installTarball(project.folder, await packPackage(project.folder));
  await project.ok("stack", "init", "dev");
  await setKey(project, lab, "egress:sshKey");
  return project;
}

/** A script in the project's folder that runs pulumi as the demo does, for somebody who looks around. */
export function leaveScript(project: PulumiProject): string {
  const file = path.join(project.folder, "pulumi");
  const env = Object.entries({ ...project.env, PATH: process.env.PATH ?? "" }).map(
    ([name, value]) => `export ${name}='${value}'`,
  );
  const words = project.argv([]).map((word) => `'${word}'`);
  fs.writeFileSync(
    file,
    ["#!/bin/sh", ...env, `cd '${project.folder}'`, `exec ${words.join(" ")} "$@"`, ""].join("\n"),
    { mode: 0o755 },
  );
  return file;
}
