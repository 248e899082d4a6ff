export type Path = readonly (string | number)[];

/** A copy of `input` with `value` at `path`; undefined takes the property away. */
export function withValue(input: unknown, path: Path, value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(input)) return Object.assign([...input], { [key]: withValue(input[Number(key)], rest, value) });
  const object = { ...(input as Record<string, unknown>) };
  object[key] = withValue(object[key], rest, value);
  if (object[key] === undefined) delete object[key];
  return object;
}

/** The paths of all values in `input`, itself included. */
export function allPaths(input: unknown, path: Path = []): Path[] {
  if (typeof input !== "object" || input === null) return [path];
  const keys = Array.isArray(input) ? [...input.keys()] : Object.keys(input);
  return [path, ...keys.flatMap((key) => allPaths((input as Record<string | number, unknown>)[key], [...path, key]))];
}

/** The value at `path`. */
export function valueAt(input: unknown, path: Path): unknown {
  return path.reduce((value, key) => (value as Record<string | number, unknown> | undefined)?.[key], input);
}
