/**
 * What every kind of kernel object answers. `text` is the one line that golden tests, drift and people read;
 * `key` is the part of it that names the object, so that an equal key with another text is a change.
 */
export interface Kind<T extends { readonly kind: string }> {
  readonly kind: T["kind"];
  /** How a node with no memory knows that an object of this kind is ours. */
  readonly ownership: string;
  key(object: T): string;
  text(object: T): string;
  /** Reads the tool's output for our objects; lines that are not ours are passed over. */
  parse(output: string): T[];
}

/** A kind that `ip -batch` programs: one line to add (idempotent), one to remove. */
export interface IpKind<T extends { readonly kind: string }> extends Kind<T> {
  add(object: T): string[];
  remove(object: T): string[];
}

/** Non-empty lines, trimmed. */
export function lines(output: string): string[] {
  return output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
