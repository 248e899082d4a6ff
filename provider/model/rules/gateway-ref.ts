import type { Problem } from "../args";
import { type At, at, items } from "../at";
import { gatewayRefSchema } from "../schema-gateway-ref";
import { referenceRule } from "./reference";

/** The gateway is what an EgressGateway gives out. */
export function gatewayRefRule(args: At): Problem[] {
  const gateway = at(args, "gateway");
  if (gateway.value === undefined) return [];
  const connections = items(at(gateway, "nodes")).map((node) => at(node, "connection"));
  return referenceRule(gateway, gatewayRefSchema, "a gateway", connections);
}
