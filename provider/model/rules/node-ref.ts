import type { Problem } from "../args";
import { type At, at, items } from "../at";
import { nodeRefSchema } from "../schema-node-ref";
import { ignoreListRule } from "./cidr-list";
import { connectionRule } from "./connection";
import { deviceNameRule, fleetNameRule, nodeNameRule } from "./names";
import { referenceRule } from "./reference";
import { underlayRule } from "./underlay";

/** Each entry is a node as a NodeMark gives it out, held to the rules of that NodeMark's own arguments. */
export function nodeRefRule(list: At): Problem[] {
  return items(list).flatMap((node) => [
    ...referenceRule(node, nodeRefSchema, "a node"),
    ...nodeNameRule(at(node, "node")),
    ...fleetNameRule(at(node, "fleet")),
    ...underlayRule(at(node, "underlayIP"), at(node, "ignore")),
    ...deviceNameRule(at(node, "uplink")),
    ...["ignore", "clusterNetworks"].flatMap((name) => ignoreListRule(at(node, name))),
    ...nodeNameRule(at(node, "registry", "node")),
    ...connectionRule(at(node, "registry", "connection")),
    ...connectionRule(at(node, "connection")),
  ]);
}
