import type { SchemaObject } from "ajv";
import { connectionSchema } from "./schema-connection";
import { fleetSchema } from "./schema-fleet";

/** NodeMarkArgs. */
export const nodeMarkSchema: SchemaObject = {
  type: "object",
  description: "the arguments of a NodeMark",
  required: ["node", "fleet", "connection", "underlayIP"],
  additionalProperties: false,
  properties: {
    node: { type: "string", description: "the name of the node" },
    fleet: fleetSchema,
    connection: connectionSchema,
    underlayIP: { type: "string", description: "the IPv4 address by which the other nodes reach this one" },
    uplink: { type: "string", description: 'the name of a network device, e.g. "eth0"' },
    mark: { type: "string", description: 'a mark of the form "0x26VVVV00"' },
  },
};
