import { contains } from "../address";
import type { Problem } from "../args";
import { type At, at, entries, isKnown, items, text } from "../at";
import { quote } from "../problem";
import { cidrsAt } from "./cidr-list";

/** A gateway pod is no source of a policy of its gateway: its packets would come back to it for ever. */
export function gatewayPodSourceRule(args: At): Problem[] {
  const gateway = at(args, "gateway");
  if (!isKnown(gateway) || !hasPods(gateway)) return [];
  const pods = items(at(gateway, "egressIPs")).flatMap((ip) => text(ip) ?? []);
  return cidrsAt(at(args, "sources", "cidrs")).flatMap(({ path, text: written, cidr }) => {
    const pod = pods.find((address) => contains(cidr, address));
    if (pod === undefined) return [];
    const what = written === pod ? `${quote(pod)} is` : `${quote(pod)} of ${quote(written)} is`;
    const message = `${what} a pod of gateway ${quote(text(at(gateway, "name")) ?? "")}: it can't be its source as well. Give sources without it.`;
    return [{ path, message }];
  });
}

/** Its nodes are lines of text, where more than the host differs with JSON in them. */
function hasPods(gateway: At): boolean {
  if (at(gateway, "connection", "netns").value !== undefined) return true;
  return entries(at(gateway, "nodes")).some(([, line]) => /^\{.*"netns":/.test(text(line) ?? ""));
}
