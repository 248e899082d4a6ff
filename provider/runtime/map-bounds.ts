import { type PolicyRule, policyEntries } from "../compile/bpf-policies";
import { MAPS } from "../kernel/bpf-layout";
import type { Problem } from "../model/args";
import type { NamedPolicy } from "../model/overlap";
import { destinationMembers } from "../model/selection";
import { fleetOf, type GatewayState, nodesOf } from "./gateway-state";
import type { PolicyState } from "./policy-state";
import { memory } from "./run-memory";

const boundOf = (map: string): number => MAPS[map]?.entries ?? 0;
const hasPrograms = ({ datapath, answers }: GatewayState): boolean => datapath === "bpf" && answers !== "cluster";

interface Counts {
  readonly policies: number;
  readonly sources: number;
}

/** The gateways of a fleet that have programs, by id. All its nodes hold the policies of all of them. */
const withPrograms = (fleet: string): ReadonlyMap<string, GatewayState> =>
  new Map(
    [...memory.gateways].flatMap(([id, { wanted }]) =>
      hasPrograms(wanted) && fleetOf(wanted) === fleet ? [[id, wanted]] : [],
    ),
  );

/**
 * The policies of a fleet's gateways with programs must have room in the maps of its nodes: those of this run whose checks came first,
 * and this one. What an update selects besides is not counted.
 */
export function policyBoundProblems({ ownerId, gateway, label }: PolicyState): Problem[] {
  const wanted = memory.gateways.get(gateway.id)?.wanted;
  if (!wanted || !hasPrograms(wanted)) return [];
  const gateways = withPrograms(fleetOf(wanted));
  const policies = [...memory.policies].flatMap(([id, policy]) => {
    const its = id === ownerId ? wanted : gateways.get(policy.gateway);
    return its ? [{ policy, rule: () => ruleOf(id, policy, its) }] : [];
  });
  const alone = policies.map(({ policy, rule }) => countOnce(policy, rule));
  const sum = (name: keyof Counts): number => alone.reduce((total, counts) => total + counts[name], 0);
  const mostOf = { policies: boundOf("egw_policies"), sources: boundOf("egw_sources") };
  if (sum("policies") <= mostOf.policies && sum("sources") <= mostOf.sources) return [];
  const rules = policies.map(({ rule }) => rule());
  const never = new Set(rules.flatMap((one) => one.never));
  const all = policyEntries(
    rules.map(({ rule }) => rule),
    [...never],
  );
  const [what, count, most] =
    all.policies.length > mostOf.policies
      ? ["entries (sources times destinations)", all.policies.length, mostOf.policies]
      : ["source networks", all.sources.length, mostOf.sources];
  if (count <= most) return [];
  const message = `with policy "${label.name}" the policies of gateways with datapath "bpf" have ${count} ${what}, and the nodes' programs hold ${most}. Give fewer or wider networks, or gateway "${wanted.label.name}" datapath "iptables".`;
  return [{ path: "sources", message }];
}

/** How much of the maps a policy takes on each node, for a preview: alone, so less where others have the same sources. */
export function policyReport({ ownerId, gateway, label }: PolicyState): string[] {
  const wanted = memory.gateways.get(gateway.id)?.wanted;
  const policy = memory.policies.get(ownerId);
  if (!policy || !wanted || !hasPrograms(wanted)) return [];
  const { policies, sources } = countOnce(policy, () => ruleOf(ownerId, policy, wanted));
  return [`policy ${label.name}: ${policies} policy entries and ${sources} source networks on each node`];
}

/** A gateway node holds so many egress IPs of all gateways with programs. */
export function egressIPBoundProblems(state: GatewayState): Problem[] {
  if (!hasPrograms(state)) return [];
  const others = [...withPrograms(fleetOf(state))].filter(([id]) => id !== state.ownerId).map(([, wanted]) => wanted);
  const most = boundOf("egw_egress_ips");
  return [...new Set(Object.values(state.placement))].flatMap((node): Problem[] => {
    const count = [state, ...others].flatMap(({ placement }) =>
      Object.values(placement).filter((holder) => holder === node),
    ).length;
    if (count <= most) return [];
    const message = `node ${node} would hold ${count} egress IPs of gateways with datapath "bpf", and its programs hold ${most}. Place some on other nodes, or give datapath "iptables".`;
    return [{ path: "egressIPs", message }];
  });
}

interface Counted {
  readonly rule: PolicyRule;
  readonly never: readonly string[];
}

function ruleOf(id: string, policy: NamedPolicy, gateway: GatewayState): Counted {
  const { match, nomatch } = destinationMembers(policy);
  const never = [...policy.ignore, ...nodesOf(gateway).map(({ underlayIP }) => `${underlayIP}/32`)];
  const { sources, egressIP } = policy;
  return { rule: { id, owner: id, sources, match, nomatch, egressIP, gateway: "0.0.0.0" }, never };
}

const counted = new WeakMap<NamedPolicy, Counts>();

/** Each policy's check asks for all of them. */
function countOnce(policy: NamedPolicy, rule: () => Counted): Counts {
  const counts = counted.get(policy) ?? countAlone(rule());
  counted.set(policy, counts);
  return counts;
}

/** A policy's own: as many as all together where no two share a source, else more. */
function countAlone({ rule, never }: Counted): Counts {
  const wide = rule.sources.filter((source) => !source.endsWith("/32")).length;
  const [one] = rule.sources;
  const decisions = one === undefined ? 0 : policyEntries([{ ...rule, sources: [one] }], never).policies.length;
  return { policies: (rule.sources.length - wide + Math.min(wide, 1)) * decisions, sources: wide };
}
