import * as pulumi from "@pulumi/pulumi";
import type { FleetArgs, NodeRef } from "../model/args";
import type { CompactNodes } from "../model/compact-nodes";
import type { ConnectionRef } from "../model/connection";
import type { DeepInput } from "./deep-input";
import { identity } from "./label";

/** Each method is one literal require, so that old state runs the code of the package that is installed now. */
const provider: pulumi.dynamic.ResourceProvider = {
  configure: async (request) => require("pulumi-egress/runtime/node-mark").configure(request),
  check: async (olds, news) => require("pulumi-egress/runtime/node-mark").check(olds, news),
  diff: async (id, olds, news) => require("pulumi-egress/runtime/node-mark").diff(id, olds, news),
  create: async (inputs) => require("pulumi-egress/runtime/node-mark").create(inputs),
  read: async (id, props) => require("pulumi-egress/runtime/node-mark").read(id, props),
  update: async (id, olds, news) => require("pulumi-egress/runtime/node-mark").update(id, olds, news),
  delete: async (id, props) => require("pulumi-egress/runtime/node-mark").delete(id, props),
};

/** Arguments of a {@link NodeMark}. */
export interface NodeMarkArgs {
  /** The node's name, unique in the fleet; a DNS label or subdomain. Changing it replaces the NodeMark. */
  node: pulumi.Input<string>;
  /** Settings that all nodes of the fleet share. Changing `fleet.name` replaces the NodeMark. */
  fleet: DeepInput<FleetArgs>;
  /** How to reach the node over SSH. Keys are references (`config:KEY`, `file:PATH`, `env:NAME`), never key material. */
  connection: DeepInput<ConnectionRef>;
  /** IPv4 address by which the other nodes of the fleet reach this one; it ends the tunnel. */
  underlayIP: pulumi.Input<string>;
  /** Device that holds `underlayIP`; egress IPs are announced there. Default: found on the node. */
  uplink?: pulumi.Input<string>;
  /** Explicit mark, `0x26VVVV00` (seed 002), bits 0x4000 and 0x8000 clear. Default: follows from the node's name. */
  mark?: pulumi.Input<string>;
  /** Nodes that this program is going to read anyway: the first check sets out to all of them at once. Not kept in state. */
  hint?: pulumi.Input<CompactNodes>;
}

/**
 * Enrols a node in a fleet: the base of everything else on it, and a mark that is unique in the fleet.
 * Errors in preview: bad inputs (all at once), a mark that is taken, a host that can't work (with the reason).
 */
export class NodeMark extends pulumi.dynamic.Resource {
  static readonly __pulumiType = "pulumi-nodejs:dynamic/egress:NodeMark";
  /** The node mark, e.g. `0x26000100`: "send it to this node". */
  declare public readonly mark: pulumi.Output<string>;
  /** Its address inside the tunnel. */
  declare public readonly tunnelAddress: pulumi.Output<string>;
  /** MTU of its tunnel device in bytes. */
  declare public readonly tunnelMTU: pulumi.Output<number>;
  /** The device that holds `underlayIP`. */
  declare public readonly uplink: pulumi.Output<string>;
  /** The node as gateways take it; export it to use the node from another stack. */
  declare public readonly ref: pulumi.Output<NodeRef>;
  /** Node → what differs in its kernel; filled in previews only. */
  declare public readonly drift: pulumi.Output<Record<string, string[]>>;

  constructor(name: string, args: NodeMarkArgs, options?: pulumi.CustomResourceOptions) {
    super(
      provider,
      name,
      {
        tunnelAddress: undefined,
        tunnelMTU: undefined,
        ref: undefined,
        drift: undefined,
        index: undefined,
        ownerId: undefined,
        mark: undefined,
        uplink: undefined,
        ...args,
        ...identity(name),
      },
      options,
      "egress",
      "NodeMark",
    );
  }
}
