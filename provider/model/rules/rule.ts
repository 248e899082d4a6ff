import type { Problem } from "../args";
import type { At } from "../at";

/** Judges the input at a place. What is absent, unknown or of the wrong type is no business of a rule. */
export type Rule = (place: At) => Problem[];

/** The problem at a place, if there is a complaint. */
export function problemAt(place: At, message: string | undefined): Problem[] {
  return message === undefined ? [] : [{ path: place.path, message }];
}
