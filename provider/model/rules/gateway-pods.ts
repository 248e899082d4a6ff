import type { Problem } from "../args";
import { UNKNOWN } from "../args";
import { type At, at, items, text } from "../at";
import { quote } from "../problem";
import { problemAt } from "./rule";

/** The gateways of `placement: "pod"` are pods, and those of any other one are machines; a pod has no pods that could be selected. */
export function gatewayPodsRule(args: At): Problem[] {
  const placement = at(args, "placement");
  const word = text(placement);
  if (placement.value === UNKNOWN) return [];
  return [
    ...problemAt(
      placement,
      word === undefined || word === "pod"
        ? undefined
        : `${quote(word)} is no placement. Give "pod", or the gateway node for each egress IP to be fixed.`,
    ),
    ...items(at(args, "gateways")).flatMap((node) => problemAt(node, gatewayComplaint(node, word === "pod"))),
    ...items(at(args, "clients")).flatMap((node) => problemAt(node, clientComplaint(node))),
  ];
}

function gatewayComplaint(node: At, arePods: boolean): string | undefined {
  const connection = at(node, "connection");
  if (connection.value === undefined || connection.value === UNKNOWN) return undefined;
  const netns = at(connection, "netns").value;
  const name = text(at(node, "node")) ?? "";
  if (arePods && netns === undefined)
    return `Node ${quote(name)} is a machine, but placement is "pod". Give NodeMarks of pods (connection.netns), or leave placement out.`;
  if (!arePods && netns !== undefined)
    return `Node ${quote(name)} is a pod (connection.netns). Give placement: "pod", or NodeMarks of machines.`;
  return undefined;
}

function clientComplaint(node: At): string | undefined {
  if (at(node, "connection", "netns").value === undefined) return undefined;
  const name = text(at(node, "node"));
  if (at(node, "connection").value === UNKNOWN || name === undefined) return undefined;
  return `Node ${quote(name)} is a pod (connection.netns), and no pods are on it. Give the machine that runs it, or leave it out.`;
}
