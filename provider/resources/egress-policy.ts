import * as pulumi from "@pulumi/pulumi";
import type { GatewayRef } from "../model/args";
import { EgressGateway } from "./egress-gateway";
import { identity } from "./label";

const provider: pulumi.dynamic.ResourceProvider = {
  configure: async (request) => require("pulumi-egress/runtime/egress-policy").configure(request),
  check: async (olds, news) => require("pulumi-egress/runtime/egress-policy").check(olds, news),
  diff: async (id, olds, news) => require("pulumi-egress/runtime/egress-policy").diff(id, olds, news),
  create: async (inputs) => require("pulumi-egress/runtime/egress-policy").create(inputs),
  read: async (id, props) => require("pulumi-egress/runtime/egress-policy").read(id, props),
  update: async (id, olds, news) => require("pulumi-egress/runtime/egress-policy").update(id, olds, news),
  delete: async (id, props) => require("pulumi-egress/runtime/egress-policy").delete(id, props),
};

/** How many policies of a gateway this program lets take turns so far; of gateways that are given as outputs, together. */
const turns = new WeakMap<object, number>();
/** How many policies a program has declared so far. */
const declared = new WeakMap<object, number>();

/** The program that runs: with the Automation API, a process may run several. */
const program = (): object => pulumi.runtime.getStackResource() ?? turns;

function nextTurn(gateway: EgressGatewayArgument): number {
  const key = gateway instanceof EgressGateway ? gateway : program();
  const turn = turns.get(key) ?? 0;
  turns.set(key, turn + 1);
  return turn;
}

/** How many policies the program declares, once it has declared them: what lets go of pods waits for all of them. */
function countOfAll(): Promise<number> {
  const key = program();
  declared.set(key, (declared.get(key) ?? 0) + 1);
  return new Promise((resolve) => setImmediate(() => resolve(declared.get(key) ?? 0)));
}

const takesTurn = ({ egressIP, allocation }: Pick<EgressPolicyArgs, "egressIP" | "allocation">): boolean =>
  egressIP === undefined && allocation !== undefined && allocation !== "default";

type EgressGatewayArgument = EgressPolicyArgs["gateway"];

/** Arguments of an {@link EgressPolicy}. */
export interface EgressPolicyArgs {
  /** The gateway whose egress IP is used, or the `ref` output of one. */
  gateway: EgressGateway | pulumi.Input<GatewayRef>;
  /** Which pods: CIDRs or single addresses. */
  sources: pulumi.Input<{ cidrs: pulumi.Input<pulumi.Input<string>[]> }>;
  /** Which destinations. Default: everything outside the fleet's ignore. An exception always wins over the CIDRs around it. */
  destinations?: pulumi.Input<{
    cidrs?: pulumi.Input<pulumi.Input<string>[]>;
    except?: pulumi.Input<pulumi.Input<string>[]>;
  }>;
  /** One of the gateway's egress IPs. Not together with `allocation`. */
  egressIP?: pulumi.Input<string>;
  /** `default`: the gateway's first egress IP; `round-robin`: the next in turn, in the order in which the program makes its policies. Both keep what they gave. Default "default". */
  allocation?: pulumi.Input<"default" | "round-robin">;
  /** Connections that are open when the policy comes or changes: left on their path and source, or ended. Default "keep". */
  established?: pulumi.Input<"keep" | "cut">;
}

/**
 * These sources to these destinations leave by that egress IP.
 * Errors in preview: bad inputs, a source and destination that another policy gives another egress IP (both are named).
 */
export class EgressPolicy extends pulumi.dynamic.Resource {
  static readonly __pulumiType = "pulumi-nodejs:dynamic/egress:EgressPolicy";
  /** The egress IP by which the selected connections leave. */
  declare public readonly egressIP: pulumi.Output<string>;
  /** Node → what differs in its kernel; filled in previews only. */
  declare public readonly drift: pulumi.Output<Record<string, string[]>>;

  constructor(name: string, args: EgressPolicyArgs, options?: pulumi.CustomResourceOptions) {
    const { gateway, ...rest } = args;
    const ref: pulumi.Input<GatewayRef> = gateway instanceof EgressGateway ? gateway.ref : gateway;
    super(
      provider,
      name,
      {
        drift: undefined,
        ownerId: undefined,
        egressIP: undefined,
        ...rest,
        gateway: ref,
        turn: takesTurn(rest) ? nextTurn(gateway) : 0,
        declared: countOfAll(),
        ...identity(name),
      },
      options,
      "egress",
      "EgressPolicy",
    );
  }
}
