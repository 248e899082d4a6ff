export { type FleetNodeArgs, NodeFleet, type NodeFleetArgs } from "../components/node-fleet";
export type { FleetArgs, GatewayRef, NodeRef } from "./model/args";
export type { ConnectionRef } from "./model/connection";
export type { DeepInput, InputsOf } from "./resources/deep-input";
export { EgressGateway, type EgressGatewayArgs, type NodeInput, type NodesInput } from "./resources/egress-gateway";
export { EgressPolicy, type EgressPolicyArgs } from "./resources/egress-policy";
export { NodeMark, type NodeMarkArgs } from "./resources/node-mark";
