import type { SchemaObject } from "ajv";
import type { Problem } from "../args";
import { type At, at } from "../at";
import { quote } from "../problem";
import { schemaProblems } from "../schema-problems";

/**
 * What stands for another resource has the properties that this resource gives out. One sentence for what lacks some of
 * them, since it is something else; where all are there, each is judged for itself.
 */
export function referenceRule(place: At, schema: SchemaObject, noun: string): Problem[] {
  const problems = schemaProblems(schema, place);
  const required: readonly string[] = schema.required ?? [];
  const [first] = problems;
  if (first === undefined || required.every((name) => at(place, name).value !== undefined)) return problems;
  const where = first.path === place.path ? "" : ` (see ${first.path})`;
  const message = `${quote(place.value)} is not ${noun}${where}. Pass ${String(schema.description)}.`;
  return [{ path: place.path, message }];
}
