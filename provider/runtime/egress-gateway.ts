import type { EgressGatewayArgs, Problem } from "../model/args";
import { UNKNOWN } from "../model/args";
import { expandEgressIPs } from "../model/defaults";
import { placeAddresses } from "../model/placement";
import { validateEgressGateway } from "../model/validate";
import { isAbandoned } from "./abandon";
import { attempt } from "./attempt";
import { isClean } from "./drift";
import { egressIPBoundProblems } from "./egress-ip-bounds";
import { leaveFormer } from "./former-registry";
import { leftOnNodes, policiesOf } from "./gateway-claims";
import { driftOfState } from "./gateway-drift";
import { podsWith } from "./gateway-pods";
import { gatewayProblems } from "./gateway-problems";
import { claimAddresses, holdingOf, releaseBut, releaseOthers, releaseUntaken } from "./gateway-registry";
import { growing, leftOvers, reachable, sessionOf, shrinking } from "./gateway-rollout";
import { fleetOf, type GatewayState, nodesOf, refOf, registryRefOf } from "./gateway-state";
import { inPart, isDone, recording } from "./in-part";
import { type Label, labelText } from "./label";
import { legProblems } from "./leg-problems";
import { lookAll, lookAtRegistry } from "./look";
import { othersBoundProblems } from "./map-bounds";
import { adoptByLabel, adoptFromRegistry, formerNames, inUse, newOwnerId, nodesThatStay, noteLive } from "./owner";
import { programProblems } from "./program-problems";
import { programReport } from "./program-report";
import { noted } from "./quiet";
import { hasExtra, heldKeys, isLost } from "./registry-entries";
import { type CheckResult, changedProperties, type DiffResult, failures, isUnknown, type Properties } from "./result";
import { rollOut } from "./rollout";
import { memory } from "./run-memory";

export { configure } from "./context";

type GatewayInputs = EgressGatewayArgs & {
  readonly label: Label;
  readonly dryRun?: boolean;
  readonly instance?: string;
};

const ALL_ABANDONED: Problem = {
  path: "gateways",
  message: "Every gateway node is written off in egress:abandon. Give one that is alive, or destroy the gateway.",
};

/** Validates, places the egress IPs, and in a dry run looks for drift on all its nodes. */
export const check = (olds: Properties, news: Properties): Promise<CheckResult> =>
  attempt("gateway", news, () => checked(olds, news));

async function checked(olds: Properties, news: Properties): Promise<CheckResult> {
  const {
    label,
    dryRun,
    instance,
    drift: _drift,
    __provider,
    ...raw
  } = news as unknown as GatewayInputs & Record<string, unknown>;
  const problems = validateEgressGateway(raw);
  if (problems.length > 0) return { inputs: news, failures: failures(problems) };
  if (isUnknown(raw, UNKNOWN)) return { inputs: { ...raw, label, __provider, drift: {} } };
  const args = raw as unknown as EgressGatewayArgs;
  const held = heldState(olds);
  const formerly = formerNames(olds, label);
  const looked = await lookAll(reachable(nodesOf(args)).map(sessionOf));
  const snapshots = [...looked.values()].flatMap(({ snapshot }) => (snapshot ? [snapshot] : []));
  const left = held ? undefined : adoptByLabel("gateway", label, snapshots);
  const registry = await lookAtRegistry(registryRefOf(args));
  const claimed = adoptFromRegistry("gateway", labelText(label), label, registry, fleetOf(args));
  const ownerId = held?.ownerId ?? left?.owner.id ?? claimed ?? newOwnerId("gateway");
  const ips = expandEgressIPs(args.egressIPs);
  // What is written off holds nothing any more: its addresses move, but those of pods.
  const names = reachable(args.gateways).map(({ node }) => node);
  if (names.length === 0) return { inputs: news, failures: failures([ALL_ABANDONED]) };
  const former = held?.placement ?? left?.placement ?? {};
  const placement =
    args.placement === "pod"
      ? podsWith(ips, args.gateways, looked, former)
      : placeAddresses(ips, names, fixedIn(args.placement), former);
  const ref = refOf(args, held?.ref.name ?? label.name, ownerId, ips, placement);
  const wanted = { ...args, label, ownerId, placement, ref };
  const known = new Set(held ? nodesOf(held).map(({ node }) => node) : []);
  const all = nodesOf(args).map(({ node }) => node);
  const isMoved = held !== undefined && registryRefOf(held)?.node !== registryRefOf(args)?.node;
  const isClaiming = isMoved || ips.some((ip) => held?.placement[ip] === undefined);
  const found = [
    ...noteLive(ownerId, label, all, { instance, isNew: !held, had: known }),
    ...gatewayProblems({ args, ips, placement, label, ownerId, known, isClaiming, looked, registry }),
    ...legProblems(wanted, looked),
    ...programProblems(wanted, looked),
    ...egressIPBoundProblems(wanted, looked),
    ...othersBoundProblems(wanted, looked),
  ];
  if (found.length > 0) return { inputs: news, failures: failures(found) };
  if (dryRun && args.datapath === "bpf") for (const line of programReport(wanted, looked)) console.info(line);
  const drift = dryRun && held ? await driftOfState(held, wanted) : {};
  // One that is replaced by force has no past in its state, only on the nodes.
  memory.gateways.set(ownerId, { wanted, held: held ?? (left && { ...wanted, placement: left.placement }) });
  return { inputs: { ...wanted, ...formerly, __provider, drift } };
}

/** A fixed placement on a node that is written off counts for nothing. */
const fixedIn = (placement: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(Object.entries(placement).filter(([, node]) => !isAbandoned(node)));

export async function diff(_id: string, olds: Properties, news: Properties): Promise<DiffResult> {
  if (isUnknown({ ...news, __provider: undefined }, UNKNOWN)) return { changes: true };
  const changed = changedProperties(olds, news).length > 0;
  const drift = await noted(() => driftOfState(olds as unknown as GatewayState, news as unknown as GatewayState));
  return { changes: changed || !isClean(drift) };
}

export const create = (inputs: Properties) => attempt("gateway", inputs, () => created(inputs));

async function created(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const state = inputs as unknown as GatewayState;
  const left = await leftOnNodes(state);
  // What it was to take is still to be taken: in order, and from whoever has it.
  const remembered = { ...outputs(inputs), placement: left?.placement ?? {} };
  await made(state, left).catch(recording(state.ownerId, remembered, left !== undefined));
  return { id: state.ownerId, outs: outputs(inputs) };
}

/** @throws InPart where it could not come, nor go again: then it keeps its entries in the registry. */
async function made(state: GatewayState, left: GatewayState | undefined): Promise<void> {
  const hadOthers = await hasExtra(holdingOf(state));
  const had = await heldKeys(holdingOf(state));
  const given = await claimAddresses(state, left);
  try {
    const policies = await policiesOf(state);
    await rollOut(growing(state, left, policies, given, leftOvers(state, policies)));
  } catch (error) {
    // What an earlier run left is at work: it is not taken down because it could not be renewed.
    if (left || !(await isDone(rollOut(shrinking(state))))) throw inPart(error);
    await releaseBut(state, had).catch(() => undefined);
    throw error;
  }
  if (hadOthers) await releaseOthers(state);
}

export async function read(id: string, props: Properties): Promise<{ id: string; props: Properties }> {
  return { id, props };
}

export const update = (_id: string, olds: Properties, news: Properties) =>
  attempt("gateway", news, () => updated(olds, news));

/** An IP that moves is moved here whole, with the policies that use it: before it the old path, after it the new one, between a drop. */
async function updated(olds: Properties, news: Properties): Promise<{ outs: Properties }> {
  const before = olds as unknown as GatewayState;
  const state = news as unknown as GatewayState;
  // What is held already needs no registry, which may be on a node that is gone; what is lost there is claimed again.
  const isNew = Object.keys(state.placement).some((ip) => before.placement[ip] === undefined);
  const [former, now] = [registryRefOf(before), registryRefOf(state)];
  const hadOthers = isDropping(before, state) || (await hasExtra(holdingOf(state)));
  const isToClaim = isNew || former?.node !== now?.node || (await isLost(holdingOf(state)));
  const given = isToClaim ? await claimAddresses(state, before) : undefined;
  try {
    const policies = await policiesOf(before);
    await rollOut(growing(state, before, policies, given, leftOvers(state, policies)));
  } catch (error) {
    await releaseUntaken(before, state).catch(() => undefined);
    throw error;
  }
  if (hadOthers) await releaseOthers(state);
  if (former && now) await leaveFormer(former, now, fleetOf(before), state.ownerId);
  return { outs: outputs(news) };
}

const isDropping = (before: GatewayState, state: GatewayState): boolean =>
  Object.keys(before.placement).some((ip) => state.placement[ip] === undefined);

/** @throws Error while policies still use the gateway. */
async function remove(_id: string, props: Properties): Promise<void> {
  const state = props as unknown as GatewayState;
  const stays = nodesThatStay(state.ownerId);
  if (stays) return rollOut(shrinking(state, stays));
  const users = await policiesOf(state);
  const others = await inUse(users);
  if (others.length > 0) {
    throw new Error(
      `gateway ${state.label.name}: still used by ${others.map(({ owner }) => labelText(owner)).join(", ")}. Remove these policies first; what an update left that was killed goes with the next pulumi up, and one that a killed create left has to be declared once more.`,
    );
  }
  memory.deleted.add(state.ownerId);
  await noted(async () => {
    await rollOut(shrinking(state, new Set(), users));
    await releaseBut(state, []);
  });
}

export { remove as delete };

function heldState(olds: Properties): GatewayState | undefined {
  const state = olds as unknown as Partial<GatewayState> | undefined;
  return state?.ownerId === undefined ? undefined : (state as GatewayState);
}

function outputs(inputs: Properties): Properties {
  const { drift: _drift, dryRun: _dryRun, ...rest } = inputs;
  return rest;
}
