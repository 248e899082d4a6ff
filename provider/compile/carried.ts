import type { OwnedRule } from "./chain";
import { IGNORE } from "./names";
import type { NodeView } from "./view";

/** A gateway pod that this machine runs. */
interface CarriedPod {
  readonly address: string;
  /** The device by which it is routed. */
  readonly device: string;
  readonly owner: string;
}

/** Those that gateways here have, each once. */
export function carriedPods({ gateways, facts }: NodeView): CarriedPod[] {
  const pods = gateways.flatMap(({ owner, nodes }) =>
    Object.values(nodes).flatMap(({ pod, underlay }): [string, CarriedPod][] => {
      const device = pod && facts.carried?.[underlay];
      return device ? [[underlay, { address: underlay, device, owner: owner.id }]] : [];
    }),
  );
  return [...new Map(pods.reverse()).values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** The tunnel of a pod is forwarded: from other nodes, of whom no pod here can take the place, and from the pod itself. */
export function passingTunnel(view: NodeView): OwnedRule[] {
  const { uplink, fleet } = view.node;
  const tunnel = `-p udp -m udp --dport ${fleet.tunnelPort} -j RETURN`;
  return carriedPods(view).flatMap(({ address, device, owner }) => [
    { rule: `-d ${address}/32 -i ${uplink} ${tunnel}`, owner },
    { rule: `-s ${address}/32 -i ${device} ${tunnel}`, owner },
  ]);
}

/** What a pod sends keeps its address, to the outside and to other nodes of the tunnel, whatever the CNI does with pods. */
export function acceptedSources(view: NodeView): OwnedRule[] {
  return carriedPods(view).flatMap(({ address, owner }) => [
    { rule: `-s ${address}/32 -p udp -m udp --dport ${view.node.fleet.tunnelPort} -j ACCEPT`, owner },
    { rule: `-s ${address}/32 -m set ! --match-set ${IGNORE} dst -j ACCEPT`, owner },
  ]);
}
