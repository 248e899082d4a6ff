import type { EgressGatewayArgs, NodeRef, Problem } from "../model/args";
import { quote } from "../model/problem";
import { deviceOfPod } from "./carried-pods";
import { isMachineOf } from "./gateway-pods";
import { nodesOf, pathOf } from "./gateway-state";
import { deviceTowards } from "./host";
import type { HostFacts } from "./host-facts";
import type { Looked } from "./look";

/** Nodes whose tunnel to a gateway pod would not arrive: it begins at their underlay address, whichever device leads there. */
export function podRouteProblems(args: EgressGatewayArgs, looked: ReadonlyMap<string, Looked>): Problem[] {
  const pods = args.gateways.filter(({ connection }) => connection.netns !== undefined);
  return nodesOf(args).flatMap((node) => {
    const host = looked.get(node.node)?.snapshot?.host;
    const others = host ? pods.filter((pod) => pod.node !== node.node) : [];
    return others.flatMap((pod): Problem[] => {
      const message = host && complaint(node, pod, host);
      return message === undefined ? [] : [{ path: pathOf(args, node.node), message }];
    });
  });
}

function complaint(node: NodeRef, pod: NodeRef, host: HostFacts): string | undefined {
  const device = deviceTowards(host, `${pod.underlayIP}/32`);
  if (device === undefined || device === node.uplink) return undefined;
  const [name, way] = [`pod ${quote(pod.node)}`, `reaches ${pod.underlayIP} by ${quote(device)}`];
  if (!isMachineOf(pod.connection, node.connection))
    return `node ${quote(node.node)} ${way}, but its uplink is ${quote(node.uplink)}: its tunnel to ${name} begins at ${node.underlayIP}, which would be taken for forged where it arrives. Route the pod's address by ${quote(node.uplink)} there (a pool of its own, without encapsulation), or leave the node out.`;
  if (deviceOfPod(pod.underlayIP, node.uplink, host) !== undefined) return undefined;
  return `node ${quote(node.node)} runs ${name}, but ${way} and a next hop: what comes for the pod's tunnel would be dropped there. Give it a route to ${pod.underlayIP} without a next hop, by the pod's own device.`;
}
