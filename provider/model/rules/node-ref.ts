import type { Problem } from "../args";
import { type At, at, items } from "../at";
import { nodeRefSchema } from "../schema-node-ref";
import { referenceRule } from "./reference";

/** Each entry is a node as a NodeMark gives it out. */
export function nodeRefRule(list: At): Problem[] {
  return items(list).flatMap((entry) =>
    referenceRule(entry, nodeRefSchema, "a node", [at(entry, "connection"), at(entry, "registry", "connection")]),
  );
}
