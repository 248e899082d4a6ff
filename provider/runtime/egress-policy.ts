import { allocateEgressIP } from "../model/allocation";
import type { EgressPolicyArgs, GatewayRef, Problem } from "../model/args";
import { UNKNOWN } from "../model/args";
import type { PolicyClaim } from "../model/claim";
import { findOverlapsWith, type NamedPolicy } from "../model/overlap";
import { validateEgressPolicy } from "../model/validate";
import { attempt } from "./attempt";
import { knownSessions } from "./context";
import { driftOn, isClean } from "./drift";
import { recording } from "./in-part";
import { type Label, labelText } from "./label";
import { type Looked, lookAll } from "./look";
import { policyBoundProblems, policyReport } from "./map-bounds";
import { adoptByLabel, formerNames, isOwnStack, newOwnerId, nodesThatStay, noteLive } from "./owner";
import { podSourceProblems } from "./pod-sources";
import { policiesByStack } from "./policies-by-stack";
import { bring, takeAway } from "./policy-rollout";
import { claimOf, type PolicyState } from "./policy-state";
import { namesOf, sessionsOf } from "./policy-waves";
import { podProgramProblems } from "./program-problems";
import { noted } from "./quiet";
import { type CheckResult, changedProperties, type DiffResult, failures, isUnknown, type Properties } from "./result";
import { routeProblems } from "./route-problems";
import { memory } from "./run-memory";
import { straysOf } from "./strays";
import { unreadProblems } from "./unread-programs";

export { configure } from "./context";

type PolicyInputs = EgressPolicyArgs & {
  readonly label: Label;
  readonly dryRun?: boolean;
  readonly instance?: string;
  readonly turn?: number;
  readonly declared?: number;
};

/** Validates, chooses the egress IP, refuses overlaps, and in a dry run looks for drift. */
export const check = (olds: Properties, news: Properties): Promise<CheckResult> =>
  attempt("policy", news, () => checked(olds, news));

async function checked(olds: Properties, news: Properties): Promise<CheckResult> {
  const {
    label,
    dryRun,
    instance,
    drift: _drift,
    turn = 0,
    declared = 0,
    __provider,
    ...raw
  } = news as unknown as PolicyInputs & Record<string, unknown>;
  memory.declared.set("policy", Math.max(declared, memory.declared.get("policy") ?? 0));
  const problems = validateEgressPolicy(raw);
  if (problems.length > 0) return { inputs: news, failures: failures(problems) };
  if (isUnknown(raw, UNKNOWN)) return { inputs: { ...raw, label, __provider, drift: {} } };
  const args = raw as unknown as EgressPolicyArgs;
  const held = heldState(olds);
  const former = formerNames(olds, label);
  const looked = await lookAll(sessionsOf(args.gateway));
  // What a run that was killed left may be on nodes of a gateway that it is not on any more.
  const snapshots = [
    ...[...looked.values()].map(({ snapshot }) => snapshot),
    ...knownSessions().map(({ seen }) => seen),
  ];
  const left = held
    ? undefined
    : adoptByLabel(
        "policy",
        label,
        snapshots.flatMap((one) => one ?? []),
      );
  const ownerId = held?.ownerId ?? left?.owner.id ?? newOwnerId("policy");
  const egressIP =
    args.egressIP ?? allocateEgressIP(args.gateway.egressIPs, modeOf(args), lastAddress(args, held, left), turn);
  const state: PolicyState = { ...args, label, ownerId, egressIP };
  const names = sessionsOf(args.gateway).map(({ name }) => name);
  const found = [
    ...noteLive(ownerId, label, names, { instance, isNew: !held, had: held ? namesOf(held.gateway) : new Set() }),
    ...unreachable(held, looked),
    ...unreadProblems(looked, () => "gateway"),
    ...overlapProblems(state, held?.gateway.id ?? left?.gateway, looked),
    ...podSourceProblems(state, looked),
    ...routeProblems(state, looked),
    ...podProgramProblems(state, looked),
    ...policyBoundProblems(state, looked),
  ];
  if (found.length > 0) return { inputs: news, failures: failures(found) };
  if (!held) memory.toCome.add(label.name);
  if (dryRun && (!held || changedProperties(olds, { ...news, ...state }).length > 0))
    for (const line of policyReport(state, looked)) console.info(line);
  const drift = dryRun && held ? await driftOn(driftTargets(held, args.gateway)) : {};
  return { inputs: { ...state, ...former, __provider, drift } };
}

export async function diff(_id: string, olds: Properties, news: Properties): Promise<DiffResult> {
  if (isUnknown({ ...news, __provider: undefined }, UNKNOWN)) return { changes: true };
  const [before, state] = [olds as unknown as PolicyState, news as unknown as PolicyState];
  const drift = await noted(() => driftOn(driftTargets(before, state.gateway)));
  const changes = changedProperties(olds, news).length > 0 || !isClean(drift);
  // Where nobody asked for a check this is a refresh, after which the policy may never come.
  if (changes && memory.live.has(state.ownerId)) memory.toCome.add(state.label.name);
  else memory.toCome.delete(state.label.name);
  return { changes };
}

export async function create(inputs: Properties): Promise<{ id: string; outs: Properties }> {
  const state = inputs as unknown as PolicyState;
  await bring(state, undefined).catch(recording(state.ownerId, outputs(inputs)));
  return { id: state.ownerId, outs: outputs(inputs) };
}

export async function read(id: string, props: Properties): Promise<{ id: string; props: Properties }> {
  return { id, props };
}

export async function update(_id: string, olds: Properties, news: Properties): Promise<{ outs: Properties }> {
  const state = news as unknown as PolicyState;
  await bring(state, olds as unknown as PolicyState).catch(recording(state.ownerId, outputs(news)));
  return { outs: outputs(news) };
}

async function remove(_id: string, props: Properties): Promise<void> {
  const state = props as unknown as PolicyState;
  await takeAway(state, nodesThatStay(state.ownerId));
}

export { remove as delete };

function driftTargets(state: PolicyState, next: GatewayRef) {
  const { ownerId } = state;
  const claim = claimOf(state);
  const right = sessionsOf(state.gateway).map((session) => ({ session, ownerId, claim }));
  const strays = straysOf(ownerId, namesOf(state.gateway, next));
  return [...right, ...strays.map((session) => ({ session, ownerId, claim: undefined }))];
}

function heldState(olds: Properties): PolicyState | undefined {
  const state = olds as unknown as Partial<PolicyState> | undefined;
  return state?.ownerId === undefined ? undefined : (state as PolicyState);
}

/** Where the policy has never been it must be put; a known node that can't be reached is drift instead. */
function unreachable(held: PolicyState | undefined, looked: ReadonlyMap<string, Looked>): Problem[] {
  const known = new Set(held ? sessionsOf(held.gateway).map(({ name }) => name) : []);
  return [...looked].flatMap(([node, { error }]): Problem[] => {
    if (!error || known.has(node)) return [];
    const message = `${error.message}. The policy has never been on this node: make it reachable, or write it off in egress:abandon.`;
    return [{ path: "gateway", message }];
  });
}

const modeOf = ({ allocation = "default" }: EgressPolicyArgs): "default" | "round-robin" => allocation;

/** The egress IP that an allocation gave before, by this mode and from this gateway. */
function lastAddress(
  args: EgressPolicyArgs,
  held: PolicyState | undefined,
  left: PolicyClaim | undefined,
): string | undefined {
  if (held) return modeOf(held) === modeOf(args) && held.gateway.id === args.gateway.id ? held.egressIP : undefined;
  return left?.gateway === args.gateway.id ? left.egressIP : undefined;
}

/** Claims of policies of other stacks; those of this stack are judged by this run's inputs. */
function foreignPolicies(looked: ReadonlyMap<string, Looked>): { claim: PolicyClaim; ignore: readonly string[] }[] {
  const found = new Map<string, { claim: PolicyClaim; ignore: readonly string[] }>();
  for (const { snapshot } of looked.values()) {
    if (!snapshot) continue;
    const node = snapshot.claims.find((claim) => claim.kind === "node");
    const ignore = node?.kind === "node" ? node.fleet.ignore : [];
    for (const [stack, policies] of policiesByStack(snapshot)) {
      if (isOwnStack(`${stack}/`)) continue;
      for (const claim of policies) found.set(claim.owner.id, { claim, ignore });
    }
  }
  return [...found.values()];
}

/** Two policies that give one source and destination two egress IPs are refused, both named. */
function overlapProblems(
  state: PolicyState,
  formerly: string | undefined,
  looked: ReadonlyMap<string, Looked>,
): Problem[] {
  const claim = claimOf(state);
  const mine: NamedPolicy = { ...claim, label: state.label.name, ignore: state.gateway.ignore };
  const others = [...memory.policies].filter(([id]) => id !== state.ownerId).map(([, policy]) => policy);
  const foreign = foreignPolicies(looked).map(({ claim: other, ignore }) => ({
    ...other,
    label: labelText(other.owner),
    ignore,
  }));
  memory.policies.set(state.ownerId, { ...mine, formerly, fleet: state.gateway.fleet });
  return findOverlapsWith(mine, [...others, ...foreign]).map(({ labels, source, destination }) => {
    const other = labels.find((name) => name !== mine.label) ?? labels[1];
    return {
      path: "sources",
      message: `policies "${mine.label}" and "${other}" give ${source} → ${destination} two different egress IPs. Narrow the sources or destinations of one of them.`,
    };
  });
}

function outputs(inputs: Properties): Properties {
  const { drift: _drift, dryRun: _dryRun, ...rest } = inputs;
  return rest;
}
