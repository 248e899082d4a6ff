import { UNKNOWN } from "./args";

/** A place in raw input: what is there, and the path to it. */
export interface At {
  readonly path: string;
  readonly value: unknown;
}

/** The place that `keys` lead to from `parent`. Below what is unknown, everything is unknown. */
export function at(parent: At, ...keys: readonly (string | number)[]): At {
  return keys.reduce<At>(
    (place, key) => ({ path: childPath(place, key), value: childValue(place.value, key) }),
    parent,
  );
}

/** The text here; undefined if it is absent, unknown or no text. */
export function text(place: At): string | undefined {
  return typeof place.value === "string" && place.value !== UNKNOWN ? place.value : undefined;
}

/** The number here; undefined if it is absent, unknown or no number. */
export function number(place: At): number | undefined {
  return typeof place.value === "number" ? place.value : undefined;
}

/** The items of the list here; none if it is no list. */
export function items(place: At): At[] {
  return Array.isArray(place.value) ? place.value.map((_, i) => at(place, i)) : [];
}

/** Keys and places of the object here; none if it is no object. */
export function entries(place: At): [string, At][] {
  return isObject(place.value) ? Object.keys(place.value).map((key) => [key, at(place, key)]) : [];
}

/** True if nothing here or below is unknown. */
export function isKnown(place: At): boolean {
  if (place.value === UNKNOWN) return false;
  return [...items(place), ...entries(place).map(([, child]) => child)].every(isKnown);
}

function childValue(value: unknown, key: string | number): unknown {
  if (value === UNKNOWN) return UNKNOWN;
  if (Array.isArray(value)) return value[Number(key)];
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function childPath(parent: At, key: string | number): string {
  if (Array.isArray(parent.value)) return `${parent.path}[${key}]`;
  if (!/^[A-Za-z_]\w*$/.test(String(key))) return `${parent.path}[${JSON.stringify(key)}]`;
  return parent.path === "" ? String(key) : `${parent.path}.${key}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
