import * as pulumi from "@pulumi/pulumi";

/** A `T` any part of which may be an output: the whole, an object or list in it, or a single value. */
export type DeepInput<T> = pulumi.Input<InputsOf<T>>;

/** A `T` whose own fields the program names; the value of each may be an output. */
export type InputsOf<T> = T extends object ? { [K in keyof T]: DeepInput<Exclude<T[K], undefined>> } : T;

/** True where the value itself is at hand; its fields may be outputs. */
export function isAtHand<T>(value: pulumi.Input<T>): value is T {
  return !pulumi.Output.isInstance(value) && !(value instanceof Promise);
}

/** True where the value is at hand with all that is in it. */
export function isPlain<T>(value: DeepInput<T>): value is InputsOf<T> & T {
  if (!isAtHand<unknown>(value)) return false;
  return typeof value !== "object" || value === null || Object.values(value).every((field) => isPlain(field));
}
