import type { SchemaObject } from "ajv";
import type { Problem } from "./args";
import type { At } from "./at";
import { sortProblems } from "./problem";
import { egressGatewayRules } from "./rules/egress-gateway";
import { egressPolicyRules } from "./rules/egress-policy";
import { nodeMarkRules } from "./rules/node-mark";
import type { Rule } from "./rules/rule";
import { egressGatewaySchema } from "./schema-egress-gateway";
import { egressPolicySchema } from "./schema-egress-policy";
import { nodeMarkSchema } from "./schema-node-mark";
import { schemaProblems } from "./schema-problems";

/** All problems of NodeMarkArgs, sorted by path. What is UNKNOWN is not judged. */
export function validateNodeMark(raw: unknown): Problem[] {
  return validate(raw, nodeMarkSchema, nodeMarkRules);
}

/** All problems of EgressGatewayArgs, sorted by path. What is UNKNOWN is not judged. */
export function validateEgressGateway(raw: unknown): Problem[] {
  return validate(raw, egressGatewaySchema, egressGatewayRules);
}

/** All problems of EgressPolicyArgs, sorted by path. What is UNKNOWN is not judged. */
export function validateEgressPolicy(raw: unknown): Problem[] {
  return validate(raw, egressPolicySchema, egressPolicyRules);
}

function validate(raw: unknown, schema: SchemaObject, rules: readonly Rule[]): Problem[] {
  const args: At = { path: "", value: raw };
  return sortProblems([...schemaProblems(schema, args), ...rules.flatMap((rule) => rule(args))]);
}
