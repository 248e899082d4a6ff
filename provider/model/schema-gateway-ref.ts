import type { SchemaObject } from "ajv";
import { connectionSchema } from "./schema-connection";
import { cidrList } from "./schema-fleet";

/** GatewayRef. */
export const gatewayRefSchema: SchemaObject = {
  type: "object",
  description: "an EgressGateway or its ref output",
  required: ["id", "name", "fleet", "egressIPs", "placement", "ignore", "nodes"],
  additionalProperties: false,
  properties: {
    id: { type: "string" },
    name: { type: "string" },
    fleet: { type: "string" },
    egressIPs: { type: "array", items: { type: "string" } },
    placement: { type: "object", additionalProperties: { type: "string" } },
    ignore: cidrList("a list of CIDRs"),
    nodes: {
      type: "array",
      items: {
        type: "object",
        required: ["node", "connection"],
        additionalProperties: false,
        properties: { node: { type: "string" }, connection: connectionSchema },
      },
    },
  },
};
