import type { Problem } from "../args";
import { type At, at, items } from "../at";
import { quote } from "../problem";
import { nodeRefSchema } from "../schema-node-ref";
import { schemaProblems } from "../schema-problems";
import { connectionRule } from "./connection";

/** Each entry is a node as a NodeMark gives it out. */
export function nodeRefRule(list: At): Problem[] {
  return items(list).flatMap((entry) => {
    const secrets = [at(entry, "connection"), at(entry, "registry", "connection")].flatMap(connectionRule);
    if (schemaProblems(nodeRefSchema, entry).length === 0) return secrets;
    return [{ path: entry.path, message: `${quote(entry.value)} is not a node. Pass a NodeMark or its ref output.` }];
  });
}
