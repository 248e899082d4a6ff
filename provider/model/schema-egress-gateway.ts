import type { SchemaObject } from "ajv";
import { cidrList } from "./schema-fleet";

/** Whether an item is a NodeRef is a rule of ours: one sentence says more than a list of missing properties. */
const nodeList = (description: string, minItems = 0): SchemaObject => ({
  type: "array",
  minItems,
  description,
  items: {},
});

/** EgressGatewayArgs. */
export const egressGatewaySchema: SchemaObject = {
  type: "object",
  description: "the arguments of an EgressGateway",
  required: ["gateways", "egressIPs"],
  additionalProperties: false,
  properties: {
    gateways: nodeList("the nodes that hold the egress IPs, at least one NodeMark", 1),
    clients: nodeList("a list of NodeMarks"),
    egressIPs: {
      type: "array",
      minItems: 1,
      description: 'at least one egress IP, as "a.b.c.d", "a.b.c.d-e.f.g.h" or a CIDR',
      items: { type: "string", description: 'an IPv4 address, a range "a-b" or a CIDR' },
    },
    placement: {
      type: ["object", "string"],
      description: 'the node that must hold it for each egress IP to be fixed, {[egressIP]: node}, or "pod"',
      additionalProperties: { type: "string", description: "the name of a gateway node" },
    },
    extraIgnore: cidrList("a list of CIDRs"),
    onTunnelLoss: { enum: ["drop", "node-ip"], description: '"drop" or "node-ip"' },
    inbound: { enum: ["drop", "allow"], description: '"drop" or "allow"' },
    datapath: { enum: ["iptables", "bpf"], description: '"iptables" or "bpf"' },
    answers: { enum: ["tunnel", "cluster"], description: '"tunnel" or "cluster"' },
    weave: { type: "boolean", description: "true or false" },
  },
};
