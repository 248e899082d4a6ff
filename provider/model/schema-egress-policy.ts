import type { SchemaObject } from "ajv";
import { cidrList } from "./schema-fleet";

/** EgressPolicyArgs. Whether `gateway` is a GatewayRef is a rule of ours. */
export const egressPolicySchema: SchemaObject = {
  type: "object",
  description: "the arguments of an EgressPolicy",
  required: ["gateway", "sources"],
  additionalProperties: false,
  properties: {
    gateway: { description: "an EgressGateway or its ref output" },
    sources: {
      type: "object",
      description: "the pods, {cidrs: […]}",
      required: ["cidrs"],
      additionalProperties: false,
      properties: { cidrs: cidrList("the CIDRs or addresses of the pods, at least one", 1) },
    },
    destinations: {
      type: "object",
      description: "the destinations, {cidrs: […], except: […]}",
      additionalProperties: false,
      properties: { cidrs: cidrList("a list of CIDRs"), except: cidrList("a list of CIDRs") },
    },
    egressIP: { type: "string", description: "one of the gateway's egress IPs" },
    allocation: { enum: ["default", "round-robin"], description: '"default" or "round-robin"' },
    established: { enum: ["keep", "cut"], description: '"keep" or "cut"' },
  },
};
