import type { SchemaObject } from "ajv";
import { connectionSchema } from "./schema-connection";
import { cidrList } from "./schema-fleet";

/** GatewayRef. */
export const gatewayRefSchema: SchemaObject = {
  type: "object",
  description: "an EgressGateway or its ref output",
  required: ["id", "name", "fleet", "egressIPs", "placement", "ignore", "nodes", "connection"],
  additionalProperties: false,
  properties: {
    id: { type: "string" },
    name: { type: "string" },
    fleet: { type: "string" },
    egressIPs: { type: "array", items: { type: "string" } },
    placement: { type: "object", additionalProperties: { type: "string" } },
    ignore: cidrList("a list of CIDRs"),
    nodes: { type: "object", additionalProperties: { type: "string" } },
    connection: { ...connectionSchema, required: [] },
  },
};
