import { type Lab, labDump } from "../../test/lab";
import type { Scene } from "../scene";

export type Dumps = Readonly<Record<string, string>>;

/** Every node as text, by plain tools and without our code: links, addresses, routes, rules, sets, iptables, sysctls, files. */
export async function dumpNodes(lab: Lab): Promise<Dumps> {
  return Object.fromEntries(
    await Promise.all(lab.nodes.map(async ({ name }) => [name, await labDump(lab, name)] as const)),
  );
}

/** Claims that every node is again what it was: lines that differ, by node. */
export async function claimUnchanged(scene: Scene, before: Dumps): Promise<void> {
  const after = await dumpNodes(scene.lab);
  for (const [node, text] of Object.entries(before)) {
    scene.story.claim(
      `${node} is what it was before: ${count(text)} lines of dump are equal`,
      [],
      differences(text, after[node] ?? ""),
    );
  }
}

function differences(before: string, after: string): string[] {
  const [old, now] = [before.split("\n"), after.split("\n")];
  const lines = [
    ...old.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`),
  ];
  return lines.length === 0 && before !== after ? ["the same lines in another order or number"] : lines;
}

const count = (text: string): number => text.split("\n").filter((line) => line !== "").length;
