import type { Lab } from "../lab";
import type { Declared } from "./stack";

type Properties = Record<string, unknown>;

/** The fleet of a lab as a program: a NodeMark for each node. */
export function fleetOf(lab: Lab, settings: Properties = {}): Declared[] {
  const connection = (node: Lab["nodes"][number]) => ({
    host: node.ssh.host,
    privateKey: `file:${node.ssh.keyPath}`,
    knownHosts: node.ssh.knownHostsPath,
  });
  const registry = lab.nodes.find(({ role }) => role === "gateway") ?? lab.nodes[0];
  if (!registry) throw new Error("a lab without nodes");
  const fleet = {
    name: "lab",
    registry: { node: registry.name, connection: connection(registry) },
    ignore: { pods: [lab.ranges.pods], services: [lab.ranges.services], nodes: [lab.ranges.nodes] },
    ...settings,
  };
  return lab.nodes.map((node) => ({
    type: "node-mark" as const,
    name: node.name,
    inputs: () => ({ node: node.name, fleet, connection: connection(node), underlayIP: node.underlayIP }),
  }));
}

/** Of all gateways that say nothing else: every scenario runs on either. */
const DATAPATH: Properties = process.env.EGW_DATAPATH === "bpf" ? { datapath: "bpf" } : {};

/** A gateway over all nodes of a lab, unless `on` names its gateway nodes and `of` its client nodes. */
export function gatewayOf(
  lab: Lab,
  name: string,
  egressIPs: readonly string[],
  more: Properties & { on?: readonly string[]; of?: readonly string[] } = {},
): Declared {
  const { on, of, ...rest } = { ...DATAPATH, ...more };
  const gateways = on ?? lab.nodes.filter(({ role }) => role === "gateway").map((node) => node.name);
  const clients = of ?? lab.nodes.filter(({ role }) => role === "client").map((node) => node.name);
  return {
    type: "egress-gateway",
    name,
    inputs: (outputs) => ({
      gateways: gateways.map((node) => outputs(node).ref),
      clients: clients.map((node) => outputs(node).ref),
      egressIPs,
      ...rest,
    }),
  };
}

/** A policy of a gateway. */
export function policyOf(name: string, gateway: string, sources: readonly string[], more: Properties = {}): Declared {
  return {
    type: "egress-policy",
    name,
    inputs: (outputs) => ({ gateway: outputs(gateway).ref, sources: { cidrs: sources }, ...more }),
  };
}
