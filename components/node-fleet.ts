import * as pulumi from "@pulumi/pulumi";
import type { FleetArgs } from "../provider/model/args";
import { compactNodes } from "../provider/model/compact-nodes";
import type { ConnectionRef } from "../provider/model/connection";
import { type DeepInput, type InputsOf, isAtHand, isPlain } from "../provider/resources/deep-input";
import { NodeMark } from "../provider/resources/node-mark";
import { nodeConnection } from "./node-connection";

/** One node of a fleet; its name is its key in {@link NodeFleetArgs.nodes}. */
export interface FleetNodeArgs {
  /** IPv4 address by which the other nodes reach it. */
  underlayIP: pulumi.Input<string>;
  /** How to reach it over SSH; laid over the fleet's `connection`. Default host: `underlayIP`. */
  connection?: DeepInput<Partial<ConnectionRef>>;
  /** Device that holds `underlayIP`. Default: found on the node. */
  uplink?: pulumi.Input<string>;
  /** Explicit mark, `0x26VVVV00`. Default: follows from the node's name. */
  mark?: pulumi.Input<string>;
}

/** Arguments of a {@link NodeFleet}. Names of nodes are plain text, since they name resources; all else may be an output. */
export interface NodeFleetArgs extends InputsOf<Omit<FleetArgs, "registry" | "name">> {
  /** The fleet's name. Default: the component's name. */
  name?: pulumi.Input<string>;
  /** Name of the node that keeps the registry of marks and egress IPs. Default: the first node by name that is no pod. */
  registry?: string;
  /** What the connections of all nodes have in common. */
  connection?: DeepInput<Partial<ConnectionRef>>;
  /** Node name → node. */
  nodes: Record<string, FleetNodeArgs>;
}

/** As far as it is said in plain text. A pod keeps no registry. */
const isPod = ({ connection = {} }: Partial<FleetNodeArgs> = {}): boolean =>
  isAtHand(connection) && connection.netns !== undefined;

/** A map of nodes in, their NodeMarks out. Composes only. */
export class NodeFleet extends pulumi.ComponentResource {
  /** Node name → its NodeMark. */
  public readonly nodes: Readonly<Record<string, NodeMark>>;

  constructor(name: string, args: NodeFleetArgs, options?: pulumi.ComponentResourceOptions) {
    super("egress:index:NodeFleet", name, {}, options);
    const { nodes, connection, registry, name: fleetName, ...settings } = args;
    const names = Object.keys(nodes).sort();
    const registryNode = registry ?? names.find((node) => !isPod(nodes[node])) ?? "";
    const connectionOf = (node: string): DeepInput<ConnectionRef> =>
      nodeConnection(nodes[node]?.underlayIP ?? "", connection, nodes[node]?.connection);
    const fleet: InputsOf<FleetArgs> = {
      ...settings,
      name: fleetName ?? name,
      registry: { node: registryNode, connection: connectionOf(registryNode) },
    };
    // Only nodes that are reached without outputs: with others each NodeMark would wait for what makes all nodes.
    const hint = compactNodes(
      names.flatMap((node) => {
        const reached = connectionOf(node);
        return isPlain<ConnectionRef>(reached) ? [{ node, connection: reached }] : [];
      }),
    );
    this.nodes = Object.fromEntries(
      names.map((node) => {
        const { underlayIP = "", uplink, mark } = nodes[node] ?? {};
        const optional = { ...(uplink === undefined ? {} : { uplink }), ...(mark === undefined ? {} : { mark }) };
        return [
          node,
          new NodeMark(
            `${name}-${node}`,
            { node, fleet, connection: connectionOf(node), underlayIP, hint, ...optional },
            { parent: this },
          ),
        ];
      }),
    );
    this.registerOutputs({ nodes: this.nodes });
  }

  /** The NodeMarks of these nodes, in this order. @throws Error naming a node that the fleet does not have. */
  pick(...names: string[]): NodeMark[] {
    return names.map((name) => {
      const node = this.nodes[name];
      if (!node) throw new Error(`the fleet has no node "${name}"; it has ${Object.keys(this.nodes).join(", ")}`);
      return node;
    });
  }
}
