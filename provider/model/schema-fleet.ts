import type { SchemaObject } from "ajv";
import { connectionSchema } from "./schema-connection";

const integer = (minimum: number, maximum: number, what: string): SchemaObject => ({
  type: "integer",
  minimum,
  maximum,
  description: `${what} from ${minimum} to ${maximum}`,
});

/** A list of CIDRs; whether each is one is a rule of ours. */
export const cidrList = (description: string, minItems = 0): SchemaObject => ({
  type: "array",
  minItems,
  description,
  items: { type: "string", description: "an IPv4 address or CIDR" },
});

/** Who keeps the fleet's registry: also part of a NodeRef. */
export const registrySchema: SchemaObject = {
  type: "object",
  description: "the node that keeps the fleet's registry, and the connection to it",
  required: ["node", "connection"],
  additionalProperties: false,
  properties: { node: { type: "string", description: "the name of a node" }, connection: connectionSchema },
};

const ignoreSchema: SchemaObject = {
  type: "object",
  description: "the cluster's own networks, {pods, services, nodes}",
  required: ["pods", "services", "nodes"],
  additionalProperties: false,
  properties: {
    pods: cidrList("the CIDRs of the cluster's pods, at least one", 1),
    services: cidrList("the CIDRs of the cluster's services, at least one", 1),
    nodes: cidrList("the CIDRs of the cluster's nodes, at least one", 1),
    extra: cidrList("a list of CIDRs"),
  },
};

/** FleetArgs. */
export const fleetSchema: SchemaObject = {
  type: "object",
  description: "the settings of the fleet, {name, registry, ignore}",
  required: ["name", "registry", "ignore"],
  additionalProperties: false,
  properties: {
    name: { type: "string", description: "a name of lower case letters, digits and hyphens" },
    registry: registrySchema,
    ignore: ignoreSchema,
    tunnelPort: integer(1, 65535, "a UDP port"),
    vni: integer(1, 16777215, "a VXLAN network identifier"),
    mtu: integer(576, 65485, "a number of bytes"),
    tunnelCIDR: { type: "string", description: 'a CIDR of at least a /18, e.g. "100.126.0.0/16"' },
    tables: {
      type: "object",
      description: "a range of routing tables, {start, count}",
      additionalProperties: false,
      properties: { start: integer(0, 4294967295, "a routing table"), count: integer(1, 10000, "a number of tables") },
    },
    rulePreference: integer(1, 32765, "a preference"),
  },
};
