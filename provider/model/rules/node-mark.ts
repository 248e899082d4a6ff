import { at } from "../at";
import { ignoreListRule } from "./cidr-list";
import { connectionRule } from "./connection";
import { markRule } from "./mark";
import { deviceNameRule, fleetNameRule, nodeNameRule } from "./names";
import { keptRegistryRule } from "./registry";
import type { Rule } from "./rule";
import { tablesRule } from "./tables";
import { tunnelNetworkRule } from "./tunnel-network";
import { underlayRule } from "./underlay";

/** All rules for NodeMarkArgs. */
export const nodeMarkRules: readonly Rule[] = [
  (args) => nodeNameRule(at(args, "node")),
  (args) => connectionRule(at(args, "connection")),
  (args) => underlayRule(at(args, "underlayIP"), at(args, "fleet", "ignore", "nodes")),
  (args) => deviceNameRule(at(args, "uplink")),
  (args) => markRule(at(args, "mark")),
  (args) => fleetNameRule(at(args, "fleet", "name")),
  (args) => nodeNameRule(at(args, "fleet", "registry", "node")),
  (args) => connectionRule(at(args, "fleet", "registry", "connection")),
  (args) => keptRegistryRule(at(args, "fleet", "registry", "connection", "netns")),
  (args) => ["pods", "services", "nodes", "extra"].flatMap((name) => ignoreListRule(at(args, "fleet", "ignore", name))),
  tunnelNetworkRule,
  (args) => tablesRule(at(args, "fleet", "tables")),
];
