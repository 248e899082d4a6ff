import { at, items, text } from "../at";
import { ignoreListRule } from "./cidr-list";
import {
  distinctEgressIPsRule,
  egressIPCountRule,
  egressIPFormRule,
  notANodeRule,
  outsideClusterRule,
  unicastEgressIPRule,
} from "./egress-ips";
import { distinctMarksRule, distinctNodesRule, oneFleetRule, sameNodeRule } from "./gateway-nodes";
import { gatewayPodsRule } from "./gateway-pods";
import { nodeRefRule } from "./node-ref";
import { placedAddressRule, placedNodeRule } from "./placement";
import type { Rule } from "./rule";

/** All rules for EgressGatewayArgs. */
export const egressGatewayRules: readonly Rule[] = [
  ...["gateways", "clients"].flatMap((name): Rule[] => [
    (args) => nodeRefRule(at(args, name)),
    (args) => distinctNodesRule(at(args, name)),
  ]),
  distinctMarksRule,
  sameNodeRule,
  oneFleetRule,
  egressIPFormRule,
  distinctEgressIPsRule,
  egressIPCountRule,
  unicastEgressIPRule,
  outsideClusterRule,
  notANodeRule,
  gatewayPodsRule,
  placedAddressRule,
  (args) =>
    placedNodeRule(
      at(args, "placement"),
      items(at(args, "gateways")).map((node) => text(at(node, "node"))),
    ),
  (args) => ignoreListRule(at(args, "extraIgnore")),
];
