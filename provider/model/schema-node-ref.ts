import type { SchemaObject } from "ajv";
import { MAX_INDEX } from "./mark";
import { connectionSchema } from "./schema-connection";
import { cidrList, registrySchema } from "./schema-fleet";

/** NodeRef. */
export const nodeRefSchema: SchemaObject = {
  type: "object",
  description: "a NodeMark or its ref output",
  required: ["node", "fleet", "index", "underlayIP", "uplink", "ignore", "registry", "connection"],
  additionalProperties: false,
  properties: {
    node: { type: "string", description: "the name of a node" },
    fleet: { type: "string", description: "the name of a fleet" },
    index: { type: "integer", minimum: 1, maximum: MAX_INDEX, description: `a node's index from 1 to ${MAX_INDEX}` },
    underlayIP: { type: "string", description: "an IPv4 address" },
    uplink: { type: "string", description: 'the name of a network device, e.g. "eth0"' },
    ignore: cidrList("a list of CIDRs"),
    clusterNetworks: cidrList("a list of CIDRs"),
    registry: registrySchema,
    connection: connectionSchema,
  },
};
