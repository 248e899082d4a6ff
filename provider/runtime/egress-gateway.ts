import type { EgressGatewayArgs, GatewayRef, NodeRef, Problem } from "../model/args";
import { UNKNOWN } from "../model/args";
import { minimalCover } from "../model/address";
import type { GatewayClaim, PolicyClaim } from "../model/claim";
import { compactNodes } from "../model/compact-nodes";
import { expandEgressIPs } from "../model/defaults";
import { placeAddresses } from "../model/placement";
import { validateEgressGateway } from "../model/validate";
import type { RegistryEntry } from "../program/registry";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import { driftOn, isClean } from "./drift";
import { deviceTowards } from "./host";
import { adoptByLabel, type Label, labelText, newOwnerId } from "./owner";
import { changedProperties, type CheckResult, type DiffResult, failures, isUnknown, type Properties } from "./result";
import { rollOut, type Wave } from "./rollout";
import { inner, memory } from "./run-memory";
import type { NodeSession } from "./session";
import { lookAll, type Looked } from "./look";

export { configure } from "./context";

/** An EgressGateway as it is kept in state. */
interface GatewayState extends EgressGatewayArgs {
  readonly label: Label;
  readonly ownerId: string;
  readonly placement: Readonly<Record<string, string>>;
  readonly ref: GatewayRef;
}

type GatewayInputs = EgressGatewayArgs & { readonly label: Label; readonly dryRun?: boolean };

/** Validates, places the egress IPs, and in a dry run looks for drift on all its nodes. */
export async function check(olds: Properties, news: Properties): Promise<CheckResult> {
  const { label, dryRun, drift: _drift, __provider, ...raw } = news as unknown as GatewayInputs & Record<string, unknown>;
  const problems = validateEgressGateway(raw);
  if (problems.length > 0) return { inputs: news, failures: failures(problems) };
  if (isUnknown(raw, UNKNOWN)) return { inputs: { ...raw, label, __provider, drift: {} } };
  const args = raw as unknown as EgressGatewayArgs;
  const held = heldState(olds);
  const looked = await lookAll(nodesOf(args).map(sessionOf));
  const snapshots = [...looked.values()].flatMap(({ snapshot }) => (snapshot ? [snapshot] : []));
  const ownerId = held?.ownerId ?? adoptByLabel("gateway", label, snapshots)?.id ?? newOwnerId("gateway");
  const ips = expandEgressIPs(args.egressIPs);
  const names = args.gateways.map(({ node }) => node);
  const placement = placeAddresses(ips, names, args.placement ?? {}, held?.placement ?? {});
  const found = [
    ...unreachable(looked, held),
    ...claimProblems(args, ips, label, ownerId, looked),
    ...uplinkProblems(args, ips, ownerId, looked),
    ...legProblems(args, looked),
    ...droppedProblems(ips, ownerId, label, looked),
  ];
  if (found.length > 0) return { inputs: news, failures: failures(found) };
  const drift = dryRun && held ? await driftOn(driftTargets(held)) : {};
  return { inputs: { ...args, label, ownerId, placement, ref: refOf(args, label, ownerId, ips, placement), __provider, drift } };
}

export async function diff(_id: string, olds: Properties, news: Properties): Promise<DiffResult> {
  if (isUnknown({ ...news, __provider: undefined }, UNKNOWN)) return { changes: true };
  const changed = changedProperties(olds, news).length > 0;
  return { changes: changed || !isClean(await driftOn(driftTargets(olds as unknown as GatewayState))) };
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const state = inputs as unknown as GatewayState;
  await claimAddresses(state);
  try {
    await rollOut(growing(state, undefined, await policiesOf(state)));
  } catch (error) {
    await rollOut(shrinking(state)).catch(() => undefined);
    await registryOf(state).release(fleetOf(state), state.ownerId).catch(() => undefined);
    throw error;
  }
  return { id: state.ownerId, outs: outputs(inputs) };
}

export async function read(id: string, props: Properties): Promise<{ id: string; props: Properties }> {
  return { id, props };
}

/** An IP that moves is moved here whole, with the policies that use it: before it the old path, after it the new one, between a drop. */
export async function update(_id: string, olds: Properties, news: Properties): Promise<{ outs: Properties }> {
  const before = olds as unknown as GatewayState;
  const state = news as unknown as GatewayState;
  await claimAddresses(state);
  await rollOut(growing(state, before, await policiesOf(before)));
  const isDropped = Object.keys(before.placement).some((ip) => state.placement[ip] === undefined);
  if (isDropped) await registryOf(state).release(fleetOf(state), state.ownerId, Object.keys(state.placement).map((ip) => `ip-${ip}`));
  return { outs: outputs(news) };
}

/** @throws Error while policies still use the gateway. */
async function remove(_id: string, props: Properties): Promise<void> {
  const state = props as unknown as GatewayState;
  const users = await policiesOf(state);
  if (users.length > 0) {
    throw new Error(`gateway ${state.label.name}: still used by ${users.map(({ owner }) => labelText(owner)).join(", ")}. Remove these policies first.`);
  }
  await rollOut(shrinking(state));
  const registry = state.gateways[0]?.registry.node ?? "";
  if (!isAbandoned(registry)) await registryOf(state).release(fleetOf(state), state.ownerId);
}
export { remove as delete };

/** The claim behind a state: the same text on all its nodes. `hold` = addresses that another node may still have. */
export function claimOf(state: GatewayState, hold: readonly string[] = []): GatewayClaim {
  const isGateway = new Set(state.gateways.map(({ node }) => node));
  return {
    kind: "gateway",
    owner: { id: state.ownerId, ...state.label },
    nodes: Object.fromEntries(nodesOf(state).map((n) => [n.node, { index: n.index, underlay: n.underlayIP, gateway: isGateway.has(n.node) }])),
    placement: state.placement,
    hold,
    extraIgnore: minimalCover(state.extraIgnore ?? []),
    onTunnelLoss: state.onTunnelLoss ?? "drop",
    inbound: state.inbound ?? "drop",
    weave: state.weave ?? false,
  };
}

/** Gateways that gain addresses first (the addresses themselves held back while another node has them), then all others, then the addresses. */
function growing(state: GatewayState, before: GatewayState | undefined, policies: readonly PolicyClaim[]): Wave[] {
  const moved = Object.keys(state.placement).filter((ip) => before?.placement[ip] !== undefined && before.placement[ip] !== state.placement[ip]);
  const gaining = new Set(Object.entries(state.placement).filter(([ip, node]) => before?.placement[ip] !== node).map(([, node]) => node));
  const known = new Set(before ? nodesOf(before).map(({ node }) => node) : []);
  const write = (node: NodeRef, hold: readonly string[]) => ({
    session: sessionOf(node),
    // A node that is new to the gateway gets the gateway's policies together with it.
    change: { write: [claimOf(state, hold), ...(known.has(node.node) ? [] : policies)], remove: [] },
  });
  const nodes = reachable(nodesOf(state));
  const first = nodes.filter(({ node }) => gaining.has(node));
  const names = new Set(nodesOf(state).map(({ node }) => node));
  const leaving = before ? reachable(nodesOf(before)).filter(({ node }) => !names.has(node)) : [];
  const rest = nodes.filter(({ node }) => !gaining.has(node));
  return [
    first.map((node) => write(node, moved)),
    [...rest.map((node) => write(node, [])), ...leaving.map((node) => removal(node, state.ownerId, policies))],
    ...(moved.length > 0 ? [first.map((node) => write(node, []))] : []),
  ];
}

/** Clients first, so that nothing is sent to a gateway that no longer answers for it. */
function shrinking(state: GatewayState): Wave[] {
  const isGateway = new Set(state.gateways.map(({ node }) => node));
  const nodes = reachable(nodesOf(state));
  return [
    nodes.filter(({ node }) => !isGateway.has(node)).map((node) => removal(node, state.ownerId, [])),
    nodes.filter(({ node }) => isGateway.has(node)).map((node) => removal(node, state.ownerId, [])),
  ];
}

const removal = (node: NodeRef, ownerId: string, policies: readonly PolicyClaim[]) => ({
  session: sessionOf(node),
  change: { write: [], remove: [ownerId, ...policies.map(({ owner }) => owner.id)] },
});

/** Policies that use the gateway, as its nodes know them. */
async function policiesOf(state: GatewayState): Promise<PolicyClaim[]> {
  const looked = await lookAll(reachable(nodesOf(state)).map(sessionOf));
  const found = new Map<string, PolicyClaim>();
  for (const { snapshot } of looked.values()) {
    for (const claim of snapshot?.claims ?? []) if (claim.kind === "policy" && claim.gateway === state.ownerId) found.set(claim.owner.id, claim);
  }
  return [...found.values()];
}

/** Gateways and clients, each node once, gateways first. */
export function nodesOf(args: EgressGatewayArgs): NodeRef[] {
  const nodes = new Map<string, NodeRef>();
  for (const node of [...args.gateways, ...(args.clients ?? [])]) if (!nodes.has(node.node)) nodes.set(node.node, node);
  return [...nodes.values()];
}

const sessionOf = (node: NodeRef): NodeSession => session(node.node, node.connection);
const reachable = (nodes: readonly NodeRef[]): NodeRef[] => nodes.filter(({ node }) => !isAbandoned(node));
const fleetOf = (state: EgressGatewayArgs): string => state.gateways[0]?.fleet ?? "";

function registryOf(state: EgressGatewayArgs): NodeSession {
  const registry = state.gateways[0]?.registry;
  if (!registry) throw new Error("a gateway without gateway nodes");
  return session(registry.node, registry.connection);
}

const driftTargets = (state: GatewayState) =>
  reachable(nodesOf(state)).map((node) => ({ session: sessionOf(node), ownerId: state.ownerId, claim: claimOf(state) }));

function heldState(olds: Properties): GatewayState | undefined {
  const state = olds as unknown as Partial<GatewayState> | undefined;
  return state?.ownerId === undefined ? undefined : (state as GatewayState);
}

function refOf(args: EgressGatewayArgs, label: Label, id: string, egressIPs: readonly string[], placement: Readonly<Record<string, string>>): GatewayRef {
  const ignore = minimalCover([...(args.gateways[0]?.ignore ?? []), ...(args.extraIgnore ?? [])]);
  return { id, name: label.name, fleet: fleetOf(args), egressIPs, placement, ignore, ...compactNodes(nodesOf(args)) };
}

function unreachable(looked: ReadonlyMap<string, Looked>, held: GatewayState | undefined): Problem[] {
  if (held) return [];
  return [...looked].flatMap(([, { error }]) => (error ? [{ path: "gateways", message: error.message }] : []));
}

/** An egress IP has one owner in a fleet: in this run, and in the registry. */
function claimProblems(args: EgressGatewayArgs, ips: readonly string[], label: Label, ownerId: string, looked: ReadonlyMap<string, Looked>): Problem[] {
  const inRun = inner(memory.egressIPs, fleetOf(args));
  const registry = looked.get(args.gateways[0]?.registry.node ?? "")?.snapshot?.registry.get(fleetOf(args)) ?? [];
  return ips.flatMap((ip): Problem[] => {
    const inThisRun = inRun.get(ip);
    inRun.set(ip, inThisRun ?? label.name);
    const holder = inThisRun !== undefined && inThisRun !== label.name ? `gateway ${inThisRun} of this run` : foreignHolder(registry, ip, ownerId, label);
    return holder === undefined ? [] : [{ path: "egressIPs", message: `${ip} is already held by ${holder} in fleet "${fleetOf(args)}".` }];
  });
}

/** An address that another gateway of this very stack holds may be on its way: that one is judged by this run's inputs. */
function foreignHolder(registry: readonly RegistryEntry[], ip: string, ownerId: string, label: Label): string | undefined {
  const entry = registry.find(({ key, owner }) => key === `ip-${ip}` && owner !== ownerId);
  return entry && !entry.holder.startsWith(`${label.project}/${label.stack}/`) ? entry.holder : undefined;
}

/** An egress IP must be free on its nodes, and the way out must lead through the device that announces it. */
function uplinkProblems(args: EgressGatewayArgs, ips: readonly string[], ownerId: string, looked: ReadonlyMap<string, Looked>): Problem[] {
  return args.gateways.flatMap(({ node, uplink }, i): Problem[] => {
    const snapshot = looked.get(node)?.snapshot;
    if (!snapshot) return [];
    const outward = deviceTowards(snapshot.host, "0.0.0.0/0");
    const ours = snapshot.claims.some(({ owner }) => owner.id === ownerId);
    const own = ours ? undefined : snapshot.host.addresses.find(({ cidr }) => ips.includes(cidr.split("/")[0] ?? ""));
    const isOurs = own && snapshot.actual.some((o) => o.kind === "address" && own.cidr === `${o.address}/32`);
    return [
      ...(outward !== undefined && outward !== uplink
        ? [{ path: `gateways[${i}]`, message: `node ${node} reaches the outside by "${outward}", but its uplink is "${uplink}": an egress IP there would get no answers.` }]
        : []),
      ...(own && !isOurs
        ? [{ path: "egressIPs", message: `${own.cidr} is already an address of node ${node} (${own.device}). An egress IP must not be a node's own address.` }]
        : []),
    ];
  });
}

/** A gateway node has a leg, and so a routing table, for every other node. */
function legProblems(args: EgressGatewayArgs, looked: ReadonlyMap<string, Looked>): Problem[] {
  const legs = nodesOf(args).length - 1;
  return args.gateways.flatMap(({ node }, i): Problem[] => {
    const claim = looked.get(node)?.snapshot?.claims.find(({ kind }) => kind === "node");
    if (claim?.kind !== "node" || legs <= claim.fleet.tables.count) return [];
    return [{ path: `gateways[${i}]`, message: `node ${node} needs ${legs} routing tables, one for each other node, and fleet.tables has ${claim.fleet.tables.count}. Raise fleet.tables.count.` }];
  });
}

/** An egress IP that a policy of another stack uses can't be taken away; policies of this stack are judged by their own check. */
function droppedProblems(ips: readonly string[], ownerId: string, label: Label, looked: ReadonlyMap<string, Looked>): Problem[] {
  const users = new Map<string, string>();
  for (const { snapshot } of looked.values()) {
    for (const claim of snapshot?.claims ?? []) {
      const isForeign = claim.owner.project !== label.project || claim.owner.stack !== label.stack;
      if (claim.kind === "policy" && claim.gateway === ownerId && isForeign && !ips.includes(claim.egressIP)) users.set(labelText(claim.owner), claim.egressIP);
    }
  }
  return [...users].map(([user, ip]) => ({ path: "egressIPs", message: `${ip} is still used by policy ${user}. Move that policy to another egress IP first.` }));
}

/** One round trip; all or none. */
async function claimAddresses(state: GatewayState): Promise<void> {
  const holder = labelText(state.label);
  const entries = Object.keys(state.placement).map((ip) => ({ key: `ip-${ip}`, owner: state.ownerId, holder, content: state.placement[ip] ?? "" }));
  const clashes = await registryOf(state).claim(fleetOf(state), entries);
  if (clashes.length === 0) return;
  throw new Error(clashes.map((entry) => `egress IP ${entry.key.slice("ip-".length)} is already held by ${entry.holder} in fleet "${fleetOf(state)}"`).join("\n"));
}

function outputs(inputs: Properties): Properties {
  const { drift: _drift, dryRun: _dryRun, ...rest } = inputs;
  return rest;
}
