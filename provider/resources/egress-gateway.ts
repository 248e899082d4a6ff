import * as pulumi from "@pulumi/pulumi";
import type { GatewayRef, NodeRef } from "../model/args";
import { isAtHand } from "./deep-input";
import { identity } from "./label";
import { NodeMark } from "./node-mark";

const provider: pulumi.dynamic.ResourceProvider = {
  configure: async (request) => require("pulumi-egress/runtime/egress-gateway").configure(request),
  check: async (olds, news) => require("pulumi-egress/runtime/egress-gateway").check(olds, news),
  diff: async (id, olds, news) => require("pulumi-egress/runtime/egress-gateway").diff(id, olds, news),
  create: async (inputs) => require("pulumi-egress/runtime/egress-gateway").create(inputs),
  read: async (id, props) => require("pulumi-egress/runtime/egress-gateway").read(id, props),
  update: async (id, olds, news) => require("pulumi-egress/runtime/egress-gateway").update(id, olds, news),
  delete: async (id, props) => require("pulumi-egress/runtime/egress-gateway").delete(id, props),
};

/** A NodeMark of this stack, or the `ref` output of one, from wherever. */
export type NodeInput = NodeMark | pulumi.Input<NodeRef>;

/** A list of nodes, or a whole list of `ref`s as an output, e.g. what another stack exports. */
export type NodesInput = readonly NodeInput[] | pulumi.Input<readonly pulumi.Input<NodeRef>[]>;

/** Arguments of an {@link EgressGateway}. */
export interface EgressGatewayArgs {
  /** Nodes that hold the egress IPs, at least one. Every gateway node is a client of the others too. */
  gateways: NodesInput;
  /** Nodes whose pods may be selected. */
  clients?: NodesInput;
  /** Egress IPs: `a.b.c.d`, `a-b` or CIDR. Each must be free in the uplink's network; they are announced by gratuitous ARP. */
  egressIPs: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * Egress IP → name of the gateway node that must hold it. Default: spread over the gateways, moved as little as possible.
   * "pod": the gateways are pods (NodeMarks with `connection.netns`), and each egress IP is a pod's own address.
   */
  placement?: pulumi.Input<"pod" | Record<string, pulumi.Input<string>>>;
  /** More destinations (CIDRs) that never leave by these egress IPs. */
  extraIgnore?: pulumi.Input<pulumi.Input<string>[]>;
  /** What a new connection does when the tunnel is gone on its node: nothing leaves, or it leaves by the node's address. Default "drop". */
  onTunnelLoss?: pulumi.Input<"drop" | "node-ip">;
  /** New connections from outside to an egress IP. "allow" exposes the gateway node's own services on an address that others allow-list. Default "drop". */
  inbound?: pulumi.Input<"drop" | "allow">;
  /** By which way answers come back to the pods' nodes: the tunnel, or the cluster's own routes. Default "tunnel". */
  answers?: pulumi.Input<"tunnel" | "cluster">;
  /** Seed 002's switch for Weave: no SNAT into the tunnel by sets as well as by mark. Default false. */
  weave?: pulumi.Input<boolean>;
  /**
   * What carries open connections: the nodes' stack, or TC programs past it. With "bpf" the rules stay underneath, for what begins and for what
   * the programs can't take; nodes need tc, bpftool, a BPF file system and Linux 5.10. Default "iptables".
   */
  datapath?: pulumi.Input<"iptables" | "bpf">;
}

/**
 * These gateway nodes hold these egress IPs. Programs egress addresses and SNAT on the gateways and a leg to each of them on every client.
 * Errors in preview: bad inputs, an IP that another gateway of the fleet holds, an uplink by which the outside is not reached.
 */
export class EgressGateway extends pulumi.dynamic.Resource {
  static readonly __pulumiType = "pulumi-nodejs:dynamic/egress:EgressGateway";
  /** Egress IP → name of the gateway node that holds it. */
  declare public readonly placement: pulumi.Output<Record<string, string>>;
  /** The gateway as policies take it; export it to use it from another stack. */
  declare public readonly ref: pulumi.Output<GatewayRef>;
  /** Node → what differs in its kernel; filled in previews only. */
  declare public readonly drift: pulumi.Output<Record<string, string[]>>;

  constructor(name: string, args: EgressGatewayArgs, options?: pulumi.CustomResourceOptions) {
    const { gateways, clients, ...rest } = args;
    const nodes = { gateways: refsOf(gateways), ...(clients === undefined ? {} : { clients: refsOf(clients) }) };
    super(
      provider,
      name,
      {
        ref: undefined,
        drift: undefined,
        ownerId: undefined,
        placement: undefined,
        ...rest,
        ...nodes,
        ...identity(name),
      },
      options,
      "egress",
      "EgressGateway",
    );
  }
}

/** The `ref`s of NodeMarks; a list that is an output has them already. */
function refsOf(nodes: NodesInput): pulumi.Input<readonly pulumi.Input<NodeRef>[]> {
  return isAtHand<readonly NodeInput[]>(nodes)
    ? nodes.map((node) => (node instanceof NodeMark ? node.ref : node))
    : nodes;
}
