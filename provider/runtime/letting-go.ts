import { untilQuiet } from "./quiet";
import { memory } from "./run-memory";

/** How many pauses of the engine one waits for policies that the program has declared: with `--target` some never come. */
const PATIENCE = 20;

let waiting = 0;

/** Whether somebody waits who will let go of what is owed. */
export const isAwaited = (): boolean => waiting > 0;

/**
 * Waits until all policies of this run have taken what they select: then true. The engine runs few operations at a time
 * (`--parallel`), so that those who wait may be in the way of the others: then it is false for all but one, who waits on,
 * and for that one, too, where the engine has asked about a policy that it still does not come to.
 */
export async function mayLetGo(): Promise<boolean> {
  waiting++;
  try {
    for (let alone = 1; ; alone++) {
      await untilQuiet();
      if (memory.toCome.size === 0 && memory.policies.size >= (memory.declared.get("policy") ?? 0)) return true;
      if (waiting > 1 || (alone > 1 && memory.toCome.size > 0)) return false;
      if (alone === PATIENCE) return true;
    }
  } finally {
    waiting--;
  }
}
