import { createHash } from "node:crypto";

/** A number in [0, 2^48) that follows from the text alone. */
export function hashOf(text: string): number {
  return createHash("sha256").update(text).digest().readUIntBE(0, 6);
}

/**
 * Rendezvous hashing: the choice with the highest hash of key and choice. Whatever is added to or removed from
 * the choices, only keys of that choice change.
 * @throws Error if there is no choice.
 */
export function rendezvous(key: string, choices: readonly string[]): string {
  const ranked = choices
    .map((choice) => ({ choice, weight: hashOf(`${key}\n${choice}`) }))
    .sort((a, b) => b.weight - a.weight || (a.choice < b.choice ? -1 : 1));
  if (ranked[0] === undefined) throw new Error(`nothing to choose from for ${JSON.stringify(key)}`);
  return ranked[0].choice;
}
