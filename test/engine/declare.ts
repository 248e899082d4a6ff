/**
 * The program side: turns what the scenarios' mini engine takes into resources of the real engine.
 * A test's program requires this, compiled, so that both engines run the very same declarations.
 */
import type { CustomResourceOptions } from "@pulumi/pulumi";
import {
  type ConnectionRef,
  EgressGateway,
  type EgressGatewayArgs,
  EgressPolicy,
  type EgressPolicyArgs,
  type FleetArgs,
  NodeMark,
  type NodeMarkArgs,
} from "../../provider";
import type { Declared } from "../operator/stack";

export { labStatus } from "../lab";
export { fleetOf, gatewayOf, policyOf } from "../operator/program";
export { storyOf } from "./story";

/** Makes what a text declares: {type, name, inputs} each, where {$output: [NAME, PROPERTY]} stands for an output of one before it. */
export function declareText(text: string): void {
  const program = JSON.parse(text) as { type: Declared["type"]; name: string; inputs: unknown }[];
  declare(
    program.map(({ type, name, inputs }) => ({
      type,
      name,
      inputs: (outputs) => resolved(inputs, outputs) as Properties,
    })),
  );
}

function resolved(value: unknown, outputs: (name: string) => Properties): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((one) => resolved(one, outputs));
  const { $output } = value as { $output?: readonly [string, string] };
  if ($output) return outputs($output[0])[$output[1]];
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(one, outputs)]));
}

type Made = NodeMark | EgressGateway | EgressPolicy;
type Properties = Record<string, unknown>;

export interface DeclareOptions {
  /** Options of single resources, by name. */
  readonly options?: Readonly<Record<string, CustomResourceOptions>>;
  /** Put before every name, with an alias to the name without it. */
  readonly prefix?: string;
  /** Laid over all connections. */
  readonly connection?: Readonly<Partial<ConnectionRef>>;
}

/** Makes the resources in their order; gives them by the names that they were declared with. */
export function declare(
  program: readonly Declared[],
  { options, prefix, connection = {} }: DeclareOptions = {},
): Record<string, Made> {
  const made: Record<string, Made> = {};
  for (const one of program) {
    const inputs = one.inputs((name) => ({ ...made[name] }));
    const ownOptions = { ...options?.[one.name], ...(prefix === undefined ? {} : { aliases: [{ name: one.name }] }) };
    const name = `${prefix ?? ""}${one.name}`;
    made[one.name] = make(one.type, name, connected(inputs, connection), ownOptions);
  }
  return made;
}

function make(type: Declared["type"], name: string, inputs: Properties, options: CustomResourceOptions): Made {
  switch (type) {
    case "node-mark":
      return new NodeMark(name, inputs as unknown as NodeMarkArgs, options);
    case "egress-gateway":
      return new EgressGateway(name, inputs as unknown as EgressGatewayArgs, options);
    case "egress-policy":
      return new EgressPolicy(name, inputs as unknown as EgressPolicyArgs, options);
  }
}

/** NodeMarks name connections, their own and their registry's; the others only pass references on. */
function connected(inputs: Properties, over: Partial<ConnectionRef>): Properties {
  if (inputs.connection === undefined || Object.keys(over).length === 0) return inputs;
  const { connection, fleet } = inputs as unknown as { connection: ConnectionRef; fleet: FleetArgs };
  const registry = { ...fleet.registry, connection: { ...fleet.registry.connection, ...over } };
  return { ...inputs, connection: { ...connection, ...over }, fleet: { ...fleet, registry } };
}
