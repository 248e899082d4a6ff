import type { Problem } from "../args";
import { type At, at, items } from "../at";
import { quote } from "../problem";
import { gatewayRefSchema } from "../schema-gateway-ref";
import { schemaProblems } from "../schema-problems";
import { connectionRule } from "./connection";

/** The gateway is what an EgressGateway gives out. */
export function gatewayRefRule(args: At): Problem[] {
  const gateway = at(args, "gateway");
  if (gateway.value === undefined) return [];
  if (schemaProblems(gatewayRefSchema, gateway).length === 0) {
    return items(at(gateway, "nodes")).flatMap((node) => connectionRule(at(node, "connection")));
  }
  return [
    {
      path: gateway.path,
      message: `${quote(gateway.value)} is not a gateway. Pass an EgressGateway or its ref output.`,
    },
  ];
}
