import { loadsPrograms } from "../compile/bpf";
import { type PolicyRule, policyEntries } from "../compile/bpf-policies";
import { GATEWAY_EXCLUDED, GATEWAY_NONE, MAPS } from "../kernel/bpf-layout";
import { formatNetwork, type Network, parseNetwork } from "../model/address";
import type { Problem } from "../model/args";
import type { Claim, GatewayClaim, PolicyClaim } from "../model/claim";
import { NetworkMap } from "../model/network-map";
import type { NamedPolicy } from "../model/overlap";
import { firstMeeting, type Range, rangesOf, union } from "../model/ranges";
import { destinationMembers, type Selection } from "../model/selection";
import type { GatewayState } from "./gateway-state";
import { claimOnce, gatewayOf } from "./known-gateway";
import { labelText } from "./label";
import type { Looked } from "./look";
import { isOwnStack } from "./owner";
import { type PolicyState, selectionsOf } from "./policy-state";
import { memory } from "./run-memory";

/** So many entries a map of the programs holds. */
export const boundOf = (map: string): number => MAPS[map]?.entries ?? 0;

/** What a selection alone comes to. */
interface Counts {
  /** Sources that are single addresses. */
  readonly single: number;
  readonly wide: readonly Network[];
  /** Of all sources. */
  readonly ranges: readonly Range[];
  /** Entries of each source, and of each class of wide ones. */
  readonly decisions: number;
  /** Whether single ones may need a class. */
  readonly isLeft?: boolean;
}

/** What a policy selects, and where that goes. */
type Routed = Selection & Pick<NamedPolicy, "gateway" | "egressIP">;
type Nodes = ReadonlyMap<string, Looked>;

/** Nodes that have the same gateways, and what policies select there while all of them change: what they have, and what this run gives them. */
interface Place {
  readonly node: string;
  readonly gateways: ReadonlyMap<string, GatewayClaim>;
  readonly had: Map<string, PolicyClaim>;
}

function placesOf(gateway: GatewayClaim, looked: Nodes): Place[] {
  const wanted = [...memory.gateways].map(([id, { wanted: state }]) => [id, claimOnce(state)] as const);
  const places = new Map<string, Place>();
  for (const node of Object.keys(gateway.nodes)) {
    const found = looked.get(node)?.snapshot?.claims ?? [];
    const known = found.flatMap((claim) => (claim.kind === "gateway" ? [[claim.owner.id, claim] as const] : []));
    const gateways = new Map([...known, ...wanted.filter(([, { nodes }]) => nodes[node] !== undefined)]);
    gateways.set(gateway.owner.id, gateway);
    if (![...gateways.values()].some(loadsPrograms) || gateway.nodes[node]?.pod) continue;
    const key = [...gateways.keys()].sort().join(" ");
    const place = places.get(key) ?? { node, gateways, had: new Map() };
    places.set(key, place);
    for (const claim of found)
      if (claim.kind === "policy" && !place.had.has(claim.owner.id)) place.had.set(claim.owner.id, claim);
  }
  return [...places.values()];
}

/** A node's maps hold the policies of all its gateways, while it changes also what they select no more. Those of this run count whose checks came first, and this one. */
export function policyBoundProblems({ gateway: { id }, label }: PolicyState, looked: Nodes): Problem[] {
  const gateway = gatewayOf(id, looked);
  const asked = { path: "sources", name: `policy "${label.name}"`, ignore: [], isSelecting: true };
  const problems = gateway ? placesOf(gateway, looked).flatMap((place) => problemsOn(place, asked)) : [];
  return problems.slice(0, 1);
}

/** The same for a gateway that comes to have programs: policies of other stacks come into their maps with it. */
export function othersBoundProblems(state: GatewayState, looked: Nodes): Problem[] {
  const gateway = claimOnce(state);
  const has = (claim: Claim): boolean =>
    claim.kind === "gateway" && claim.owner.id === state.ownerId && loadsPrograms(claim);
  const isNew = Object.keys(gateway.nodes).some((node) => !looked.get(node)?.snapshot?.claims.some(has));
  if (!loadsPrograms(gateway) || !isNew) return [];
  const ignore = state.gateways[0]?.ignore ?? [];
  const asked = { path: "datapath", name: 'datapath "bpf"', ignore, isSelecting: false };
  const problems = placesOf(gateway, looked).flatMap(({ had, ...place }) => {
    const others = new Map([...had].filter(([, { owner }]) => !isOwnStack(labelText(owner))));
    return problemsOn({ ...place, had: others }, asked);
  });
  return problems.slice(0, 1);
}

/** Whose argument would be too much. */
interface Asked {
  readonly path: string;
  readonly name: string;
  /** Of the fleet, where no policy of this run says it. */
  readonly ignore: readonly string[];
  /** Whether what it selects itself may be changed step by step. */
  readonly isSelecting: boolean;
}

function problemsOn({ node, gateways, had }: Place, { path, name, ignore, isSelecting }: Asked): Problem[] {
  const own = [...memory.policies].filter(([, { gateway }]) => gateways.has(gateway));
  const former = [...had].flatMap(([owner, claim]) =>
    (claim.also ? selectionsOf(claim) : [claim]).flatMap((one) => {
      const policy = memory.policies.get(owner);
      return gateways.has(one.gateway) && !(policy && isSame(one, policy)) ? [[owner, one] as const] : [];
    }),
  );
  const selections = [...own, ...former].map(([owner, selection]) => {
    const gateway = gateways.get(selection.gateway);
    return { owner, selection, isLeft: !gateway || !loadsPrograms(gateway) };
  });
  const never = neverOf([...own.map(([, policy]) => policy), { ignore }], [...gateways.values()]);
  const mostOf = { policies: boundOf("egw_policies"), sources: boundOf("egw_sources") };
  // What is left to the stack has entries only inside what programs decide, and single addresses a class in wide sources of these.
  const isMixed = selections.some(({ isLeft }) => isLeft);
  const decided = union(
    isMixed ? selections.flatMap((one) => (one.isLeft ? [] : countOnce(one.selection, never).ranges)) : [],
  );
  const atMost = together(
    selections.map(({ selection, isLeft }) => {
      const counts = countOnce(selection, never);
      if (!isLeft) return counts;
      return firstMeeting(counts.ranges, decided) ? { ...counts, isLeft } : { ...counts, decisions: 0 };
    }),
  );
  if (atMost.policies <= mostOf.policies && atMost.sources <= mostOf.sources) return [];
  const all = policyEntries(
    selections.map(({ selection, isLeft }, i) => ruleOf(String(i), selection, isLeft)),
    never,
  );
  const [what, count, most] =
    all.policies.length > mostOf.policies
      ? ["entries (sources times destinations)", all.policies.length, mostOf.policies]
      : ["source networks", all.sources.length, mostOf.sources];
  if (count <= most) return [];
  const isChange = former.length > 0 && isSelecting;
  const whenever = isChange ? ", with what it has till then," : "";
  const message = `with ${name} node ${node} would have ${count} ${what}${whenever} and the maps of its programs hold ${most}. Give fewer or wider networks${isChange ? ", change them in two steps" : ""}, or its gateways datapath "iptables".`;
  return [{ path, message }];
}

/** What no policy selects, as far as this run knows it: as the maps have it. */
const neverOf = (policies: readonly Pick<NamedPolicy, "ignore">[], gateways: readonly GatewayClaim[]): string[] => [
  ...new Set([
    ...policies.flatMap(({ ignore }) => ignore),
    ...gateways.flatMap(({ nodes }) => Object.values(nodes).map(({ underlay }) => `${underlay}/32`)),
  ]),
];

/** Whether a node has a policy as this run gives it, but for its way. */
const isSame = (a: Routed, b: Routed): boolean =>
  a.gateway === b.gateway &&
  (["sources", "destinations", "except"] as const).every(
    (list) => a[list].length === b[list].length && a[list].every((cidr, i) => cidr === b[list][i]),
  );

/** How much of the maps a policy takes on each node, for a preview: alone. Those that share sources share entries, and a network within another one has its entries too. */
export function policyReport({ ownerId, gateway: { id }, label }: PolicyState, looked: Nodes): string[] {
  const gateway = gatewayOf(id, looked);
  const policy = memory.policies.get(ownerId);
  if (!policy || !gateway || !loadsPrograms(gateway)) return [];
  const { single, wide, decisions } = countAlone(policy, neverOf([policy], [gateway]));
  const entries = (single + Math.min(wide.length, 1)) * decisions;
  return [`policy ${label.name}: ${entries} policy entries and ${wide.length} source networks on each node`];
}

function ruleOf(id: string, selection: Routed, isLeft: boolean): PolicyRule {
  const { sources, egressIP } = selection;
  const way = isLeft ? { egressIP: "0.0.0.0", gateway: GATEWAY_EXCLUDED } : { egressIP, gateway: GATEWAY_NONE };
  return { id, owner: id, sources, ...destinationMembers(selection), ...way };
}

const counted = new WeakMap<Routed, { readonly never: string; readonly counts: Counts }>();

/** Each policy's check asks for all of them. */
function countOnce(selection: Routed, never: readonly string[]): Counts {
  const key = never.join();
  const known = counted.get(selection);
  if (known?.never === key) return known.counts;
  const counts = countAlone(selection, never);
  counted.set(selection, { never: key, counts });
  return counts;
}

function countAlone(selection: Routed, never: readonly string[]): Counts {
  const { sources } = selection;
  const wide = sources.filter((source) => !source.endsWith("/32")).flatMap((source) => parseNetwork(source) ?? []);
  const [one] = sources;
  const decisions =
    one === undefined ? 0 : policyEntries([ruleOf("", { ...selection, sources: [one] }, false)], never).policies.length;
  return { single: sources.length - wide.length, wide, ranges: rangesOf(sources), decisions };
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
  const left = all.reduce((sum, { single, isLeft }) => sum + (isLeft ? single : 0), 0);
  return { policies: singles + classes.reduce((sum, count) => sum + count, 0), sources: own.size + left };
}
