import type { EgressPolicyArgs, GatewayRef } from "../model/args";
import type { FormerSelection, PolicyClaim } from "../model/claim";
import { expandNodes } from "../model/compact-nodes";
import { normalizeDestinations, normalizeSources } from "../model/defaults";
import { firstMeeting, rangesOf } from "../model/ranges";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import type { Label } from "./label";
import { canonical } from "./result";
import type { Gate, Wave } from "./rollout";
import { memory } from "./run-memory";
import type { NodeSession } from "./session";

/** An EgressPolicy as it is kept in state. */
export interface PolicyState extends EgressPolicyArgs {
  readonly label: Label;
  readonly ownerId: string;
  readonly egressIP: string;
}

/** The claim behind a state: the same on all nodes of its gateway. */
export function claimOf(state: PolicyState): PolicyClaim {
  const { destinations, except } = normalizeDestinations(state.destinations);
  return {
    kind: "policy",
    owner: { id: state.ownerId, ...state.label },
    gateway: state.gateway.id,
    sources: normalizeSources(state.sources),
    destinations,
    except,
    egressIP: state.egressIP,
    established: state.established ?? "keep",
  };
}

/**
 * Four waves, the same for every policy, since rollouts that come together run wave by wave: first all policies take what
 * they select (the node that will translate, then those that choose), then they let go of what they no longer select
 * (those that choose, then the node that translated it). `strays`: other nodes that have the policy, and are to lose it. So what one policy lets go of and another takes is selected by one of them at every moment.
 */
export function replacing(
  before: PolicyState | undefined,
  state: PolicyState,
  strays: readonly NodeSession[] = [],
): Wave[] {
  const claim = claimOf(state);
  const old = before && claimOf(before);
  const takes = old === undefined || !selectsNoMore(claim, old);
  const isLess = old !== undefined && !selectsNoMore(old, { ...claim, egressIP: old.egressIP, gateway: old.gateway });
  const first = isLess ? { ...claim, also: formerOf(old) } : claim;
  const isFirst = takes || !isLess;
  const write = (node: NodeSession, what: PolicyClaim) => ({ session: node, change: { write: [what], remove: [] } });
  const nodes = sessionsOf(state.gateway);
  const isTaker = ({ name }: NodeSession): boolean => name === state.gateway.placement[state.egressIP];
  const names = new Set(nodes.map(({ name }) => name));
  const others = [...(before ? sessionsOf(before.gateway) : []), ...strays];
  const left = new Set(others.filter(({ name }) => !names.has(name)));
  const isGiver = ({ name }: NodeSession): boolean => name === formerHolder(before, state);
  const lettingGo = [
    ...(isLess ? nodes : []).map((node) => write(node, claim)),
    ...[...left].map((node) => removal(node, state.ownerId)),
  ];
  return [
    isFirst ? nodes.filter(isTaker).map((node) => write(node, first)) : [],
    isFirst ? nodes.filter((node) => !isTaker(node)).map((node) => write(node, first)) : [],
    lettingGo.filter(({ session: node }) => !isGiver(node)),
    lettingGo.filter(({ session: node }) => isGiver(node)),
  ];
}

/** The node that translates what the policy lets go of: of an address that its gateway has moved, the new one. */
function formerHolder(before: PolicyState | undefined, { gateway }: PolicyState): string | undefined {
  if (!before) return undefined;
  const there = before.gateway.id === gateway.id ? undefined : before.gateway.placement[before.egressIP];
  return gateway.placement[before.egressIP] ?? there;
}

/** From this wave of `replacing` on a policy lets go; in those before it takes. */
export const LETTING_GO = 2;

/** Whether these waves of a policy let go of anything. */
export const letsGo = (waves: readonly Wave[]): boolean => waves.slice(LETTING_GO).some((wave) => wave.length > 0);

/** A policy as nodes have it that no state knows of. */
export const asLeft = (state: PolicyState, claim: PolicyClaim | undefined): PolicyState | undefined =>
  claim && {
    ...state,
    gateway: { ...state.gateway, id: claim.gateway },
    sources: { cidrs: claim.sources },
    destinations: { cidrs: claim.destinations, except: claim.except },
    egressIP: claim.egressIP,
  };

/** A policy as state has it, with what an update that failed has selected besides on some of its nodes. */
export function asFound(before: PolicyState, claims: readonly PolicyClaim[]): PolicyState {
  const known = besidesSources(claimOf(before));
  const found = claims
    .flatMap((claim) => [claim, claim.also ?? []].flat())
    .filter((one) => besidesSources(one) === known);
  const sources = found.flatMap((one) => one.sources);
  return {
    ...before,
    sources: { cidrs: normalizeSources({ cidrs: [...normalizeSources(before.sources), ...sources] }) },
  };
}

/** Where a policy could not take what it is to select, none lets go of any of that: nobody would select it. */
export function gateOf(before: PolicyState | undefined, state: PolicyState): Gate {
  const { name } = state.label;
  const claim = claimOf(state);
  const isMore = before === undefined || !selectsNoMore(claim, claimOf(before));
  return {
    enter: (wave) => {
      if (wave < LETTING_GO || before === undefined) return;
      const held = rangesOf(claimOf(before).sources);
      const others = [...memory.notTaken].filter(
        ([other, sources]) => other !== name && firstMeeting(held, rangesOf(sources)),
      );
      if (others.length === 0) return;
      throw new Error(
        `policy ${name}: keeps what it has, since ${others.map(([other]) => other).join(", ")} failed in this run and may have been to take that. Run pulumi up again.`,
      );
    },
    failed: (wave) => {
      if (wave < LETTING_GO && isMore) memory.notTaken.set(name, claim.sources);
    },
  };
}

/** What two selections must share for their sources to be compared. */
const besidesSources = ({ gateway, egressIP, destinations, except }: FormerSelection): string =>
  canonical([gateway, egressIP, destinations, except]);

/** Whether all that `a` gives an address gets the same from `b`. Where destinations differ, nobody looks closer. */
function selectsNoMore(a: PolicyClaim, b: PolicyClaim): boolean {
  return (
    besidesSources(a) === besidesSources(b) &&
    canonical(normalizeSources({ cidrs: [...a.sources, ...b.sources] })) === canonical(b.sources)
  );
}

const formerOf = ({ gateway, egressIP, sources, destinations, except }: PolicyClaim): FormerSelection => ({
  gateway,
  egressIP,
  sources,
  destinations,
  except,
});

/** The nodes that choose first, then the gateway: nothing is sent to a gateway that no longer translates it. */
export function shrinking(
  state: PolicyState,
  stays: ReadonlySet<string> = new Set(),
  strays: readonly NodeSession[] = [],
): Wave[] {
  const holder = state.gateway.placement[state.egressIP];
  const nodes = [...sessionsOf(state.gateway), ...strays].filter(({ name }) => !stays.has(name));
  return [
    nodes.filter(({ name }) => name !== holder).map((node) => removal(node, state.ownerId)),
    nodes.filter(({ name }) => name === holder).map((node) => removal(node, state.ownerId)),
  ];
}

const removal = (node: NodeSession, ownerId: string) => ({ session: node, change: { write: [], remove: [ownerId] } });

/** The nodes of a policy's gateway that are still there. */
export const sessionsOf = (gateway: GatewayRef): NodeSession[] =>
  expandNodes(gateway)
    .filter(({ node }) => !isAbandoned(node))
    .map(({ node, connection }) => session(node, connection));
