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
    node: { type: "string" },
    fleet: { type: "string" },
    index: { type: "integer", minimum: 1, maximum: MAX_INDEX },
    underlayIP: { type: "string" },
    uplink: { type: "string" },
    ignore: cidrList("a list of CIDRs"),
    clusterNetworks: cidrList("a list of CIDRs"),
    registry: registrySchema,
    connection: connectionSchema,
  },
};
