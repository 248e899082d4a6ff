import type { Problem } from "../args";
import { type At, at, entries, items } from "../at";
import { gatewayRefSchema } from "../schema-gateway-ref";
import { ignoreListRule } from "./cidr-list";
import { compactNodesRule } from "./compact-nodes";
import { distinctEgressIPsRule, egressIPCountRule, unicastEgressIPRule } from "./egress-ips";
import { addressRule } from "./ipv4-text";
import { fleetNameRule, ownerIdRule } from "./names";
import { placedAddressRule, placedNodeRule } from "./placement";
import { referenceRule } from "./reference";

/** A ref as JSON → its problems: a thousand policies pass on the same one, with all nodes of its gateway. */
const judged = new Map<string, Problem[]>();
const MOST_JUDGED = 100;

/** The gateway is what an EgressGateway gives out, held to the rules of that EgressGateway's own arguments. */
export function gatewayRefRule(args: At): Problem[] {
  const gateway = at(args, "gateway");
  if (gateway.value === undefined) return [];
  const key = `${gateway.path} ${JSON.stringify(gateway.value)}`;
  const problems = judged.get(key) ?? judge(gateway);
  if (judged.size >= MOST_JUDGED) judged.clear();
  judged.set(key, problems);
  return problems;
}

function judge(gateway: At): Problem[] {
  const names = entries(at(gateway, "nodes")).map(([name]) => name);
  return [
    ...referenceRule(gateway, gatewayRefSchema, "a gateway"),
    ...ownerIdRule(at(gateway, "id"), "gateway"),
    ...fleetNameRule(at(gateway, "fleet")),
    ...items(at(gateway, "egressIPs")).flatMap(addressRule),
    ...distinctEgressIPsRule(gateway),
    ...egressIPCountRule(gateway),
    ...unicastEgressIPRule(gateway),
    ...placedAddressRule(gateway),
    ...placedNodeRule(at(gateway, "placement"), names),
    ...ignoreListRule(at(gateway, "ignore")),
    ...compactNodesRule(gateway),
  ];
}
