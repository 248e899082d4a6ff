/**
 * The program side: turns what the scenarios' mini engine takes into resources of the real engine.
 * A test's program is `require(".../declare").declare(...)`, so both engines run the very same one.
 */
import type { CustomResourceOptions } from "@pulumi/pulumi";
import {
  EgressGateway,
  type EgressGatewayArgs,
  EgressPolicy,
  type EgressPolicyArgs,
  NodeMark,
  type NodeMarkArgs,
} from "../../provider";
import type { Declared } from "../operator/stack";

type Made = NodeMark | EgressGateway | EgressPolicy;
type Properties = Record<string, unknown>;

/** Makes the resources in their order; `options` by name. */
export function declare(
  program: readonly Declared[],
  options: Readonly<Record<string, CustomResourceOptions>> = {},
): Record<string, Made> {
  const made: Record<string, Made> = {};
  for (const one of program) {
    const inputs = one.inputs((name) => ({ ...made[name] }));
    made[one.name] = make(one, inputs, options[one.name]);
  }
  return made;
}

function make({ type, name }: Declared, inputs: Properties, options?: CustomResourceOptions): Made {
  switch (type) {
    case "node-mark":
      return new NodeMark(name, inputs as unknown as NodeMarkArgs, options);
    case "egress-gateway":
      return new EgressGateway(name, inputs as unknown as EgressGatewayArgs, options);
    case "egress-policy":
      return new EgressPolicy(name, inputs as unknown as EgressPolicyArgs, options);
  }
}
