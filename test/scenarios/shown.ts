import type { AnyStack, Declared } from "../operator/stack";

/** Every line of a preview that is not "same", by resource. */
export async function shown(stack: AnyStack, program: readonly Declared[]): Promise<Record<string, string[]>> {
  const changes = (await stack.preview(program)).filter(({ change }) => change !== "same");
  const lines = changes.map(({ name, drift }): [string, string[]] => [
    name,
    Object.entries(drift)
      .flatMap(([node, some]) => some.map((line) => `${node} ${line}`))
      .sort(),
  ]);
  return Object.fromEntries(lines.sort());
}
