import type { Owned } from "../kernel/state";
import { chainOf, type OwnedRule } from "./chain";
import { CHAINS, IGNORE, policyComment } from "./names";
import type { NodeView } from "./view";

/** A gateway pod that this machine runs. */
interface CarriedPod {
  readonly address: string;
  /** The device by which it is routed. */
  readonly device: string;
  readonly owner: string;
  /** What it answers goes to its client by the cluster's own routes, as it came from outside. */
  readonly answersByCluster: boolean;
}

/** Those that gateways here have, each once. */
export function carriedPods({ gateways, facts }: NodeView): CarriedPod[] {
  const inCluster = new Set(
    gateways.flatMap(({ answers, nodes }) =>
      answers === "cluster" ? Object.values(nodes).map(({ underlay }) => underlay) : [],
    ),
  );
  const pods = gateways.flatMap(({ owner, nodes }) =>
    Object.values(nodes).flatMap(({ pod, underlay }): [string, CarriedPod][] => {
      const device = pod && facts.carried?.[underlay];
      const answersByCluster = inCluster.has(underlay);
      return device ? [[underlay, { address: underlay, device, owner: owner.id, answersByCluster }]] : [];
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

/** What a pod sends keeps its address, to the outside and to other nodes of the tunnel, whatever the CNI does with pods; behind two hooks, as what is translated here. */
export function acceptedSources(view: NodeView): OwnedRule[] {
  return carriedPods(view).flatMap(({ address, owner }) => [
    { rule: `-s ${address}/32 -p udp -m udp --dport ${view.node.fleet.tunnelPort} -j ACCEPT`, owner },
    { rule: `-s ${address}/32 -m set ! --match-set ${IGNORE} dst -j ACCEPT`, owner },
  ]);
}

/** What comes from the devices of such pods with a source outside the cluster, each device once. */
function answering(view: NodeView): { readonly match: string; readonly owner: string }[] {
  const pods = carriedPods(view).filter(({ answersByCluster }) => answersByCluster);
  const devices = new Map(pods.map(({ device, owner }) => [device, owner]));
  return [...devices].map(([device, owner]) => ({ match: `-i ${device} -m set ! --match-set ${IGNORE} src`, owner }));
}

/**
 * By a device whose filter is loose. Of sources inside the cluster what it would have asked is asked here, so that nobody behind
 * it takes the address of another pod or of a node; of a gateway pod's others not where they are routed, but whether somebody asked them.
 */
export const sourceChecks = (view: NodeView): OwnedRule[] => [
  ...Object.keys(view.facts.loosened ?? {})
    .sort()
    .map((device) => ({
      rule: `-i ${device} -m set --match-set ${IGNORE} src -m rpfilter --invert -j DROP`,
      owner: view.node.owner.id,
    })),
  ...answering(view).map(({ match, owner }) => ({ rule: `${match} -j ${CHAINS.answer}`, owner })),
];

/** To a selected pod, from where its policy leads; errors come from on the way there. */
export function answerChain(view: NodeView): Owned[] {
  const [first] = answering(view);
  if (!first) return [];
  const carried = new Set(carriedPods(view).map(({ address }) => address));
  const policies = view.policies.filter(({ gateway, policy }) => {
    const holder = gateway.nodes[gateway.placement[policy.egressIP] ?? ""];
    return gateway.answers === "cluster" && holder?.pod === true && carried.has(holder.underlay);
  });
  return chainOf("mangle", CHAINS.answer, view.node.owner.id, [
    ...policies.flatMap(({ policy: { owner }, sets: { source, destination } }) => {
      const to = `-m set --match-set ${source} dst`;
      const comment = policyComment(owner.id);
      return [
        `${to} -m set --match-set ${destination} src ${comment} -j RETURN`,
        ...["3", "11"].map((type) => `-p icmp -m icmp --icmp-type ${type} ${to} ${comment} -j RETURN`),
      ].map((rule) => ({ rule, owner: owner.id }));
    }),
    { rule: "-j DROP", owner: view.node.owner.id },
  ]);
}

/** The beginning of a connection whose client is on another node was never seen here: without it conntrack takes its answer for invalid, and others drop that. */
export const unknownAnswers = (view: NodeView): OwnedRule[] =>
  answering(view).map(({ match, owner }) => ({ rule: `${match} -m conntrack --ctstate INVALID -j ACCEPT`, owner }));

/** A gateway node all of whose gateways answer by the tunnel: what was to be answered by the cluster's routes, before that changed, is as well. */
export function answersByTunnel({ node, gateways }: NodeView): boolean {
  const own = gateways.filter(({ nodes }) => nodes[node.node]?.gateway);
  return own.length > 0 && own.every(({ answers }) => answers !== "cluster");
}
