import type { Problem } from "../args";
import { type At, at } from "../at";
import { gatewayRefSchema } from "../schema-gateway-ref";
import { referenceRule } from "./reference";
import { secretReferenceRule } from "./secret-reference";

/** The gateway is what an EgressGateway gives out. */
export function gatewayRefRule(args: At): Problem[] {
  const gateway = at(args, "gateway");
  if (gateway.value === undefined) return [];
  const problems = referenceRule(gateway, gatewayRefSchema, "a gateway", []);
  return problems.length > 0 ? problems : secretReferenceRule(at(gateway, "connection"));
}
