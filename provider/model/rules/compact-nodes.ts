import type { Problem } from "../args";
import { type At, at, entries, text } from "../at";
import { connectionSchema } from "../schema-connection";
import { schemaProblems } from "../schema-problems";
import { connectionPartRule, loginRule } from "./connection";
import { hostNameRule } from "./host-name";
import { nodeNameRule } from "./names";

/** CompactNodes: what the connections of all nodes share, and a line for each node, are connections when they are put together. */
export function compactNodesRule(compact: At): Problem[] {
  const shared = at(compact, "connection");
  return [
    ...connectionPartRule(shared),
    ...entries(at(compact, "nodes")).flatMap(([name, line]) => [
      ...nodeNameRule({ path: line.path, value: name }),
      ...lineRule(line, shared),
    ]),
  ];
}

/** A line is a host, or a JSON object of the fields in which a node's connection differs. */
function lineRule(line: At, shared: At): Problem[] {
  const written = text(line);
  if (written === undefined) return [];
  const isHost = !written.startsWith("{");
  const own = isHost ? { path: line.path, value: { host: written } } : fieldsOf(line.path, written);
  // Not repeated: there may be a password in it.
  if (own === undefined) return [{ path: line.path, message: NO_FIELDS }];
  const found = isHost ? hostNameRule(line) : [...schemaProblems(connectionSchema, own), ...connectionPartRule(own)];
  // What is shared may be no object, or not known yet.
  if (typeof shared.value !== "object" || shared.value === null) return found;
  const { path } = isHost ? shared : line;
  return [...found, ...loginRule({ path, value: { ...shared.value, ...own.value } })];
}

const NO_FIELDS =
  "The value is neither a host nor the fields of a connection as JSON. Give a host name or an IPv4 address.";

function fieldsOf(path: string, written: string): { path: string; value: object } | undefined {
  try {
    return { path, value: JSON.parse(written) as object };
  } catch {
    return undefined;
  }
}
