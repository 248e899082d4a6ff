import * as pulumi from "@pulumi/pulumi";
import { EgressGateway, EgressPolicy, type FleetNodeArgs, NodeFleet } from "pulumi-egress";

const config = new pulumi.Config();
const network = config.requireObject<{ pods: string[]; services: string[]; nodes: string[] }>("ignore");

const fleet = new NodeFleet("fleet", {
  ignore: network,
  connection: { privateKey: config.require("privateKey"), knownHosts: config.get("knownHosts") },
  nodes: config.requireObject<Record<string, FleetNodeArgs>>("nodes"),
});

const gateway = new EgressGateway("payments", {
  gateways: fleet.pick(...config.requireObject<string[]>("gateways")),
  clients: Object.values(fleet.nodes),
  egressIPs: config.requireObject<string[]>("egressIPs"),
});

export const egressIP = new EgressPolicy("checkout", {
  gateway,
  sources: { cidrs: config.requireObject<string[]>("sources") },
  destinations: { cidrs: config.getObject<string[]>("destinations") ?? [] },
}).egressIP;
export const marks = Object.fromEntries(Object.entries(fleet.nodes).map(([name, node]) => [name, node.mark]));
