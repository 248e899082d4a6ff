import type { NodeMarkArgs, Problem } from "../model/args";
import { UNKNOWN } from "../model/args";
import type { CompactNodes } from "../model/compact-nodes";
import { validateNodeMark } from "../model/validate";
import { isAbandoned } from "./abandon";
import { attempt } from "./attempt";
import { session } from "./context";
import { type Drift, driftOn, isClean, joined } from "./drift";
import { formerPlaceProblems } from "./former-place";
import { leaveFormer } from "./former-registry";
import { claimsSeen, startProbes } from "./hint";
import { hostProblems, uplinkOf, warnForgotten } from "./host";
import { inPart, isDone, recording } from "./in-part";
import { type Label, labelText } from "./label";
import { isKnown, look, lookAtRegistry } from "./look";
import {
  chooseIndex,
  fleetProblems,
  foreignNode,
  indexesIn,
  isEnrolledBy,
  isSameFleet,
  namedIn,
  portProblems,
  reachProblems,
  renameProblems,
  settingsProblems,
} from "./node-mark-problems";
import { claimMark, holderOf, holdingOf, registrySession, releaseOthers } from "./node-mark-registry";
import { claimOf, computed, type NodeMarkState } from "./node-mark-state";
import { adoptByLabel, adoptFromRegistry, formerNames, inUse, newOwnerId, nodesThatStay, noteLive } from "./owner";
import { noted } from "./quiet";
import { entryDrift, hasExtra, heldKeys, isLost, releaseStrays, strayDrift, unknownRegistry } from "./registry-entries";
import { type CheckResult, changedProperties, type DiffResult, failures, isUnknown, type Properties } from "./result";
import { rulesInFront } from "./rules-in-front";
import { memory } from "./run-memory";
import type { Snapshot } from "./snapshot";
import { unwantedOn } from "./strays";

export { configure } from "./context";

type NodeMarkInputs = NodeMarkArgs & {
  readonly label: Label;
  readonly dryRun?: boolean;
  readonly instance?: string;
  readonly hint?: CompactNodes;
};

const ABANDONED: Problem = {
  path: "node",
  message: "This node is written off in egress:abandon. Take its name out there, or leave out the NodeMark.",
};

/** Validates, allocates the mark, and in a dry run looks for drift. Everything that others read is computed here, so that previews know it. */
export const check = (olds: Properties, news: Properties): Promise<CheckResult> =>
  attempt("node", news, () => checked(olds, news));

async function checked(olds: Properties, news: Properties): Promise<CheckResult> {
  const {
    label,
    dryRun,
    instance,
    drift: _drift,
    hint,
    __provider,
    ...raw
  } = news as unknown as NodeMarkInputs & Record<string, unknown>;
  const problems = validateNodeMark(raw);
  if (problems.length > 0) return { inputs: news, failures: failures(problems) };
  if (isUnknown(raw, UNKNOWN)) return { inputs: { ...raw, label, __provider, drift: {} } };
  const args = raw as unknown as NodeMarkArgs;
  if (hint && !isUnknown(hint, UNKNOWN)) startProbes(hint);
  const held = heldState(olds, args);
  const former = formerNames(olds, label);
  const here = session(args.node, args.connection);
  // What is written off stays as state has it: it is not looked at, and nothing is done there.
  if (isAbandoned(args.node))
    return held ? { inputs: { ...held, drift: {} } } : { inputs: news, failures: failures([ABANDONED]) };
  const seen = await look(here);
  const registry = await lookAtRegistry(args.fleet.registry);
  const found = [...fleetProblems(args, label), ...reachProblems(args, held, seen, registry)];
  if (found.length > 0) return { inputs: news, failures: failures(found) };
  const left = held || !seen.snapshot ? undefined : adoptByLabel("node", label, [seen.snapshot]);
  const claimed = adoptFromRegistry("node", holderOf({ label, node: args.node }), label, registry, args.fleet.name);
  const ownerId = held?.ownerId ?? left?.owner.id ?? claimed ?? newOwnerId("node");
  const { index, problems: markProblems } = chooseIndex(
    args,
    held ?? (left?.fleet.name === args.fleet.name ? left : undefined),
    ownerId,
    registry.snapshot,
    await claimsSeen(args, hint),
  );
  const uplink = args.uplink ?? (seen.snapshot && uplinkOf(seen.snapshot.host, args.underlayIP)) ?? held?.uplink;
  const nodeProblems = seen.snapshot
    ? [
        ...hostProblems(seen.snapshot.host, args, uplink),
        ...rulesInFront(seen.snapshot.host, args, indexesIn(args.fleet.name, registry.snapshot)),
        ...portProblems(seen.snapshot, args),
        ...foreignNode(seen.snapshot, ownerId),
        ...(held ? [] : renameProblems(olds, args, seen.snapshot)),
      ]
    : [];
  const late = [
    ...noteLive(ownerId, label, [args.node], { instance, isNew: !held, had: new Set() }),
    ...settingsProblems(args, registry.snapshot),
    ...markProblems,
    ...nodeProblems,
    ...(await formerPlaceProblems(held, args, seen.snapshot)),
  ];
  if (late.length > 0 || uplink === undefined || index === undefined) return { inputs: news, failures: failures(late) };
  if (dryRun && seen.snapshot) warnForgotten(seen.snapshot.host, args, egressIPsOn(seen.snapshot));
  const state = computed(args, label, ownerId, index, uplink, seen.snapshot?.host.mtus[uplink], held);
  const drift = dryRun && held ? await driftOfState(held) : {};
  return { inputs: { ...state, ...former, __provider, drift } };
}

/** True where inputs or the kernel differ; only another node or fleet is another NodeMark. */
export async function diff(_id: string, olds: Properties, news: Properties): Promise<DiffResult> {
  if (isUnknown({ ...news, __provider: undefined }, UNKNOWN)) return { changes: true };
  const before = olds as unknown as NodeMarkState;
  const after = news as unknown as NodeMarkState;
  const replaces = [
    ...(before.node === after.node ? [] : ["node"]),
    ...(before.fleet.name === after.fleet.name ? [] : ["fleet"]),
  ];
  // A machine has one enrolment at a time; another machine is enrolled first, so that gateways can move there.
  if (replaces.length > 0) {
    const { snapshot } = await look(session(after.node, after.connection));
    return { changes: true, replaces, deleteBeforeReplace: isEnrolledBy(snapshot, before.ownerId) };
  }
  const drift = await noted(() => driftOfState(before));
  return { changes: changedProperties(olds, news).length > 0 || !isClean(drift) };
}

export const create = (inputs: Properties) => attempt("node", inputs, () => created(inputs));

async function created(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const state = inputs as unknown as NodeMarkState;
  const isAdopted = await isKnown([session(state.node, state.connection)], state.ownerId);
  await enrolled(state, isAdopted).catch(recording(state.ownerId, outputs(inputs), isAdopted));
  return { id: state.ownerId, outs: outputs(inputs) };
}

/** @throws InPart where the node could not be enrolled, nor is known to be as before: then it keeps its mark. */
async function enrolled(state: NodeMarkState, isAdopted: boolean): Promise<void> {
  const here = session(state.node, state.connection);
  // What an earlier run left may have had another mark.
  const hadOthers = await hasExtra(holdingOf(state));
  const had = await heldKeys(holdingOf(state));
  await claimMark(state);
  try {
    await here.apply({ write: [claimOf(state)], remove: [] });
    if (hadOthers) await releaseOthers(state);
  } catch (error) {
    // What an earlier run left is at work: it is not taken down because it could not be renewed.
    if (isAdopted || !(await isDone(here.apply({ write: [], remove: [state.ownerId] })))) throw inPart(error);
    await registrySession(state)
      .release(state.fleet.name, state.ownerId, had)
      .catch(() => undefined);
    throw error;
  }
}

export async function read(id: string, props: Properties): Promise<{ id: string; props: Properties }> {
  return { id, props };
}

export const update = (_id: string, olds: Properties, news: Properties) =>
  attempt("node", news, () => updated(olds, news));

async function updated(olds: Properties, news: Properties): Promise<{ outs: Properties }> {
  const before = olds as unknown as NodeMarkState;
  const state = news as unknown as NodeMarkState;
  const here = session(state.node, state.connection);
  // What is held already needs no registry, which may be on a node that is gone; what is lost there is claimed again.
  const isSame = before.index === state.index && isSameFleet(before.fleet, state.fleet);
  const hadOthers = before.index !== state.index || (await hasExtra(holdingOf(state)));
  if (!isSame || (await isLost(holdingOf(state)))) await claimMark(state);
  if (!isAbandoned(state.node)) await here.apply({ write: [claimOf(state)], remove: unwantedOn(here) });
  if (hadOthers) await releaseOthers(state);
  // A registry that moves is left by each of its own.
  if (before.fleet.registry.node === state.fleet.registry.node) await releaseStrays(holdingOf(state), here);
  await leaveFormer(before.fleet.registry, state.fleet.registry, before.fleet.name, state.ownerId);
  return { outs: outputs(news) };
}

/** @throws Error while gateways or policies still need the node. */
async function remove(_id: string, props: Properties): Promise<void> {
  const state = props as unknown as NodeMarkState;
  if (nodesThatStay(state.ownerId)?.has(state.node)) return;
  const here = session(state.node, state.connection);
  if (!isAbandoned(state.node)) {
    const users = (await here.snapshot()).claims.filter(({ kind }) => kind !== "node");
    const others = await inUse(users);
    if (others.length > 0 && (await isKnown([here], state.ownerId))) {
      throw new Error(
        `node ${state.node}: still used by ${others.map((claim) => `${claim.kind} ${labelText(claim.owner)}`).join(", ")}. Remove these first; what a killed create left has to be declared once more.`,
      );
    }
    const left = users.filter((claim) => !others.includes(claim)).map(({ owner }) => owner.id);
    if (left.length > 0) await here.apply({ write: [], remove: left });
    // In a destroy nobody else has said which stack this is.
    formerNames(props, state.label);
    await releaseStrays(holdingOf(state), here);
    await here.apply({ write: [], remove: [state.ownerId] });
  }
  if (!isAbandoned(state.fleet.registry.node)) await registrySession(state).release(state.fleet.name, state.ownerId);
}

export { remove as delete };

async function driftOfState(state: NodeMarkState): Promise<Drift> {
  const { node, connection, fleet, ownerId, label } = state;
  if (isAbandoned(node)) return {};
  const here = session(node, connection);
  const own = await driftOn([{ session: here, ownerId, claim: claimOf(state) }]);
  const unwanted = unwantedOn(here).map((id) => driftOn([{ session: here, ownerId: id, claim: undefined }]));
  const isSilent = fleet.registry.node === node || memory.fleets.get(fleet.name)?.node !== namedIn(label, node);
  return joined(
    own,
    ...(await Promise.all(unwanted)),
    await entryDrift(holdingOf(state)),
    await strayDrift(holdingOf(state), here),
    isSilent ? {} : await unknownRegistry(fleet.registry, fleet.name),
  );
}

/** Egress IPs of the gateways that a node knows. */
const egressIPsOn = ({ claims }: Snapshot): string[] =>
  claims.flatMap((claim) => (claim.kind === "gateway" ? Object.keys(claim.placement) : []));

/** What state says of the same NodeMark; nothing where it will be replaced. */
function heldState(olds: Properties, args: NodeMarkArgs): NodeMarkState | undefined {
  const state = olds as unknown as Partial<NodeMarkState> | undefined;
  return state?.ownerId !== undefined && state.node === args.node && state.fleet?.name === args.fleet.name
    ? (state as NodeMarkState)
    : undefined;
}

function outputs(inputs: Properties): Properties {
  const { drift: _drift, dryRun: _dryRun, ...rest } = inputs;
  return rest;
}
