import type { SchemaObject } from "ajv";
import type { Problem } from "../args";
import type { At } from "../at";
import { quote } from "../problem";
import { schemaProblems } from "../schema-problems";
import { connectionRule } from "./connection";

/**
 * What stands for another resource is what that resource gives out: one sentence for all that is wrong with it.
 * Key material in its connections is refused as everywhere.
 */
export function referenceRule(place: At, schema: SchemaObject, noun: string, connections: readonly At[]): Problem[] {
  const [first] = schemaProblems(schema, place);
  if (first === undefined) return connections.flatMap(connectionRule);
  const where = first.path === place.path ? "" : ` (see ${first.path})`;
  const message = `${quote(place.value)} is not ${noun}${where}. Pass ${String(schema.description)}.`;
  return [{ path: place.path, message }];
}
