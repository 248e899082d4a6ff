import { canonicalCidr, contains } from "../model/address";
import type { EgressGatewayArgs, Problem } from "../model/args";
import type { PolicyClaim } from "../model/claim";
import { quote } from "../model/problem";
import { claimOf } from "./gateway-rollout";
import { fleetOf } from "./gateway-state";
import { labelText } from "./label";
import type { Looked } from "./look";
import { isOwnStack } from "./owner";
import { isSource, type PodAddress, podsOf } from "./pod-roles";
import { policiesByStack } from "./policies-by-stack";
import type { PolicyState } from "./policy-state";
import { memory } from "./run-memory";
import type { Snapshot } from "./snapshot";

/** A gateway pod, and its gateway as messages name it. */
type NamedPod = PodAddress & { readonly gateway: string };

/**
 * A gateway pod is no source, of whichever gateway the policy is. Gateways of this stack are those of this run, others those
 * that the policy's nodes know; the second of two that clash is refused, so the gateway's check asks the same (podsAsSources).
 */
export function podSourceProblems(state: PolicyState, looked: ReadonlyMap<string, Looked>): Problem[] {
  const pods = [...podsOfRun(state.gateway.fleet), ...snapshotsOf(looked).flatMap(foreignPods)];
  if (pods.length === 0) return [];
  return state.sources.cidrs.flatMap((written, i): Problem[] => {
    const pod = pods.find(({ address }) => contains(canonicalCidr(written), address));
    if (!pod) return [];
    const what = written === pod.address ? quote(written) : `${quote(pod.address)} of ${quote(written)}`;
    const message = `${what} is pod ${quote(pod.node)} of gateway ${quote(pod.gateway)}: what that sends would leave by another egress IP, or come back to it for ever. Give sources without it.`;
    return [{ path: `sources.cidrs[${i}]`, message }];
  });
}

/** The same from the gateway's side: policies of this run whose check came first, and those of other stacks on its nodes. */
export function podsAsSources(
  args: EgressGatewayArgs,
  placement: Readonly<Record<string, string>>,
  looked: ReadonlyMap<string, Looked>,
): Problem[] {
  const foreign = snapshotsOf(looked).flatMap(foreignPolicies);
  const ofRun = [...memory.policies.values()].filter(({ fleet }) => fleet === fleetOf(args));
  return args.gateways.flatMap(({ node, connection, underlayIP: underlay }, i): Problem[] => {
    if (connection.netns === undefined) return [];
    const addresses = podsOf({ nodes: { [node]: { index: 0, underlay, gateway: true, pod: true } }, placement });
    return addresses.flatMap((pod): Problem[] => {
      const own = ofRun.find(({ sources }) => sources.some((cidr) => contains(cidr, pod.address)));
      const other = foreign.find((policy) => isSource(policy, pod));
      const policy = own?.label ?? (other && labelText(other.owner));
      if (policy === undefined) return [];
      const message = `pod ${quote(node)} (${pod.address}) is a source of policy ${quote(policy)}: what it sends would leave by another egress IP, or come back to it for ever. Take it out of that policy's sources.`;
      return [{ path: `gateways[${i}]`, message }];
    });
  });
}

const podsOfRun = (fleet: string): NamedPod[] =>
  [...memory.gateways.values()]
    .filter(({ wanted }) => fleetOf(wanted) === fleet)
    .flatMap(({ wanted }) => podsOf(claimOf(wanted)).map((pod) => ({ ...pod, gateway: wanted.label.name })));

const snapshotsOf = (looked: ReadonlyMap<string, Looked>): Snapshot[] =>
  [...looked.values()].flatMap(({ snapshot }) => snapshot ?? []);

const known = new WeakMap<Snapshot, readonly NamedPod[]>();

/** Those of gateways of other stacks, gathered once for each node as seen: every policy's check asks every node. */
function foreignPods(snapshot: Snapshot): NamedPod[] {
  const gateways = (): NamedPod[] =>
    snapshot.claims.flatMap((claim) =>
      claim.kind === "gateway" ? podsOf(claim).map((pod) => ({ ...pod, gateway: labelText(claim.owner) })) : [],
    );
  const found = known.get(snapshot) ?? gateways();
  known.set(snapshot, found);
  return found.filter(({ gateway }) => !isOwnStack(gateway));
}

const foreignPolicies = (snapshot: Snapshot): PolicyClaim[] =>
  [...policiesByStack(snapshot)].flatMap(([stack, policies]) => (isOwnStack(`${stack}/`) ? [] : policies));
