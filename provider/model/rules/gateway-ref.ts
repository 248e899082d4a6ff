import type { Problem } from "../args";
import { type At, at, entries, text } from "../at";
import { gatewayRefSchema } from "../schema-gateway-ref";
import { referenceRule } from "./reference";
import { secretReferenceRule } from "./secret-reference";

/** The gateway is what an EgressGateway gives out. */
export function gatewayRefRule(args: At): Problem[] {
  const gateway = at(args, "gateway");
  if (gateway.value === undefined) return [];
  const problems = referenceRule(gateway, gatewayRefSchema, "a gateway", []);
  if (problems.length > 0) return problems;
  const nodes = entries(at(gateway, "nodes")).map(([, line]) => fieldsOf(line));
  return [at(gateway, "connection"), ...nodes].flatMap(secretReferenceRule);
}

/** The fields in which a node's connection differs, where its line has more than the host. */
function fieldsOf(line: At): At {
  const written = text(line) ?? "";
  try {
    return { path: line.path, value: written.startsWith("{") ? JSON.parse(written) : undefined };
  } catch {
    return { path: line.path, value: undefined };
  }
}
