import { type PolicyRule, policyEntries } from "../compile/bpf-policies";
import { MAPS } from "../kernel/bpf-layout";
import { formatNetwork, type Network, parseNetwork } from "../model/address";
import type { Problem } from "../model/args";
import { NetworkMap } from "../model/network-map";
import type { NamedPolicy } from "../model/overlap";
import { destinationMembers } from "../model/selection";
import { fleetOf, type GatewayState, nodesOf } from "./gateway-state";
import type { PolicyState } from "./policy-state";
import { memory } from "./run-memory";

const boundOf = (map: string): number => MAPS[map]?.entries ?? 0;
/** With `answers: "cluster"` the programs are around gateway pods. */
const hasPrograms = ({ datapath }: GatewayState): boolean => datapath === "bpf";

/** What a policy alone comes to. */
interface Counts {
  /** Sources that are single addresses. */
  readonly single: number;
  readonly wide: readonly Network[];
  /** Entries of each source, and of each class of wide ones. */
  readonly decisions: number;
}

const gatewaysOf = (fleet: string): ReadonlyMap<string, GatewayState> =>
  new Map([...memory.gateways].flatMap(([id, { wanted }]) => (fleetOf(wanted) === fleet ? [[id, wanted]] : [])));

/**
 * Where a gateway of a fleet has programs, their maps hold the policies of all its gateways (those of one without are exceptions): those
 * of this run whose checks came first, and this one. What an update selects besides is not counted.
 */
export function policyBoundProblems({ ownerId, gateway, label }: PolicyState): Problem[] {
  const wanted = memory.gateways.get(gateway.id)?.wanted;
  if (!wanted) return [];
  const gateways = gatewaysOf(fleetOf(wanted));
  if (![...gateways.values()].some(hasPrograms)) return [];
  const policies = [...memory.policies].flatMap(([id, policy]) => {
    const its = id === ownerId ? wanted : gateways.get(policy.gateway);
    return its ? [{ policy, rule: () => ruleOf(id, policy, its) }] : [];
  });
  const mostOf = { policies: boundOf("egw_policies"), sources: boundOf("egw_sources") };
  const atMost = together(policies.map(({ policy, rule }) => countOnce(policy, rule)));
  if (atMost.policies <= mostOf.policies && atMost.sources <= mostOf.sources) return [];
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
  const message = `with policy "${label.name}" the policies of fleet "${fleetOf(wanted)}" have ${count} ${what}, and the maps of its programs hold ${most}. Give fewer or wider networks, or its gateways datapath "iptables".`;
  return [{ path: "sources", message }];
}

/** How much of the maps a policy takes on each node, for a preview: alone. Those that share sources share entries, and a network within another one has its entries too. */
export function policyReport({ ownerId, gateway, label }: PolicyState): string[] {
  const wanted = memory.gateways.get(gateway.id)?.wanted;
  const policy = memory.policies.get(ownerId);
  if (!policy || !wanted || !hasPrograms(wanted)) return [];
  const { single, wide, decisions } = countOnce(policy, () => ruleOf(ownerId, policy, wanted));
  const entries = (single + Math.min(wide.length, 1)) * decisions;
  return [`policy ${label.name}: ${entries} policy entries and ${wide.length} source networks on each node`];
}

/** A gateway node holds so many egress IPs of all gateways with programs. */
export function egressIPBoundProblems(state: GatewayState): Problem[] {
  if (!hasPrograms(state)) return [];
  const others = [...gatewaysOf(fleetOf(state))].flatMap(([id, other]) =>
    id !== state.ownerId && hasPrograms(other) ? [other] : [],
  );
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

function countAlone({ rule, never }: Counted): Counts {
  const wide = rule.sources.filter((source) => !source.endsWith("/32")).flatMap((source) => parseNetwork(source) ?? []);
  const [one] = rule.sources;
  const decisions = one === undefined ? 0 : policyEntries([{ ...rule, sources: [one] }], never).policies.length;
  return { single: rule.sources.length - wide.length, wide, decisions };
}

/** No more entries than that: a source has those of all policies that hold it, and of one source in two policies each counts. */
function together(all: readonly Counts[]): { readonly policies: number; readonly sources: number } {
  const own = new Map<string, { readonly network: Network; decisions: number }>();
  for (const { wide, decisions } of all)
    for (const network of wide) {
      const key = formatNetwork(network);
      const found = own.get(key) ?? { network, decisions: 0 };
      own.set(key, found);
      found.decisions += decisions;
    }
  const networks = new NetworkMap<number>();
  for (const { network, decisions } of own.values()) networks.set(network, decisions);
  const classes = [...own.values()].map(({ network }) =>
    [...networks.holding(network)].reduce((sum, count) => sum + count, 0),
  );
  const deepest = classes.reduce((most, count) => Math.max(most, count), 0);
  const singles = all.reduce((sum, { single, decisions }) => sum + single * (decisions + deepest), 0);
  return { policies: singles + classes.reduce((sum, count) => sum + count, 0), sources: own.size };
}
