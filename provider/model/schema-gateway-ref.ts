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
    id: { type: "string", description: 'the id of a gateway, "gateway-UUID"' },
    name: { type: "string", description: "the name of an EgressGateway" },
    fleet: { type: "string", description: "the name of a fleet" },
    egressIPs: {
      type: "array",
      minItems: 1,
      description: "a list of IPv4 addresses, at least one",
      items: { type: "string", description: "an IPv4 address" },
    },
    placement: {
      type: "object",
      description: "the node that holds it for each egress IP, {[egressIP]: node}",
      additionalProperties: { type: "string", description: "the name of a gateway node" },
    },
    ignore: cidrList("a list of CIDRs"),
    nodes: {
      type: "object",
      description: "the host of each node, {[node]: host}",
      additionalProperties: {
        type: "string",
        minLength: 1,
        description: "a host name or an IPv4 address, or the fields of a connection as JSON",
      },
    },
    connection: { ...connectionSchema, required: [] },
  },
};
