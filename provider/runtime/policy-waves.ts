import type { GatewayRef } from "../model/args";
import type { FormerSelection, PolicyClaim } from "../model/claim";
import { expandNodes } from "../model/compact-nodes";
import { normalizeSources } from "../model/defaults";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import { besidesSources, claimOf, type PolicyState } from "./policy-state";
import { canonical } from "./result";
import type { Wave } from "./rollout";
import type { NodeSession } from "./session";

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

/** Whether all that `a` gives an address gets the same from `b`. Where destinations differ, nobody looks closer. */
export function selectsNoMore(a: PolicyClaim, b: PolicyClaim): boolean {
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

export const namesOf = (...gateways: readonly GatewayRef[]): ReadonlySet<string> =>
  new Set(gateways.flatMap((gateway) => expandNodes(gateway).map(({ node }) => node)));
