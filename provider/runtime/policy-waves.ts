import type { GatewayRef } from "../model/args";
import type { FormerSelection, PolicyClaim } from "../model/claim";
import { expandNodes } from "../model/compact-nodes";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import { claimOf, type PolicyChange, type PolicyState, selectionsOf, selectsNoMore } from "./policy-state";
import type { Wave } from "./rollout";
import type { NodeSession } from "./session";

/**
 * Four waves, the same for every policy, since rollouts that come together run wave by wave: first all policies take what
 * they select (the node that will translate, then those that choose), then they let go of what they no longer select
 * (those that choose, then the node that translated it), each node of what it had. `strays`: other nodes that have the
 * policy, and are to lose it. So what one policy lets go of and another takes is selected by one of them at every moment.
 */
export function replacing(change: PolicyChange, strays: readonly NodeSession[] = []): Wave[] {
  const { state, recorded } = change;
  const claim = claimOf(state);
  const write = (node: NodeSession, what: PolicyClaim) => ({ session: node, change: { write: [what], remove: [] } });
  const on = changesOf(change);
  const nodes = sessionsOf(state.gateway).map((node) => ({ node, ...on(node.name) }));
  const names = namesOf(state.gateway);
  const others = [...(recorded ? sessionsOf(recorded.gateway) : []), ...strays];
  const left = new Set(others.filter(({ name }) => !names.has(name)));
  const taking = nodes.filter(({ isTaking, former }) => isTaking || former.length === 0);
  const take = taking.map(({ node, former }) => write(node, former.length > 0 ? { ...claim, also: former } : claim));
  const letGo = [
    ...nodes.filter(({ former }) => former.length > 0).map(({ node }) => write(node, claim)),
    ...[...left].map((node) => removal(node, state.ownerId)),
  ];
  const isTaker = ({ session: { name } }: Wave[number]): boolean => name === state.gateway.placement[state.egressIP];
  const holders = formerHolders(
    change,
    nodes.flatMap(({ former }) => former),
  );
  const isGiver = ({ session: { name } }: Wave[number]): boolean => holders.has(name);
  return [
    take.filter(isTaker),
    take.filter((one) => !isTaker(one)),
    letGo.filter((one) => !isGiver(one)),
    letGo.filter(isGiver),
  ];
}

/** For each node: whether it is to select more than it does, and what of it no longer: that, with the source that it had. */
function changesOf({ state, recorded, found }: PolicyChange) {
  const claim = claimOf(state);
  const last = recorded && claimOf(recorded);
  const where = recorded && namesOf(recorded.gateway);
  const changeOf = (had: PolicyClaim | undefined) => ({
    isTaking: had === undefined || !selectsNoMore(claim, had),
    former: (had ? selectionsOf(had) : []).filter(
      (one) => !selectsNoMore(one, { ...claim, egressIP: one.egressIP, gateway: one.gateway }),
    ),
  });
  // Nearly all nodes have the same, and it may have a hundred thousand sources.
  const known = new Map<string, ReturnType<typeof changeOf>>();
  return (node: string) => {
    const had = found.get(node) ?? (where?.has(node) ? last : undefined);
    const key = JSON.stringify(had ?? null);
    const change = known.get(key) ?? changeOf(had);
    known.set(key, change);
    return change;
  };
}

/** Whether a policy is to select more than it did, for all that is known. */
export function takesMore(change: PolicyChange): boolean {
  const { state, recorded } = change;
  if (recorded === undefined || !selectsNoMore(claimOf(state), claimOf(recorded))) return true;
  const on = changesOf(change);
  return sessionsOf(state.gateway).some(({ name }) => on(name).isTaking);
}

/** The nodes that translate what the policy lets go of: of an address that its gateway has moved, the new one. */
function formerHolders({ state, recorded }: PolicyChange, former: readonly FormerSelection[]): ReadonlySet<string> {
  const there = recorded === undefined || recorded.gateway.id === state.gateway.id ? {} : recorded.gateway.placement;
  const addresses = [...former.map(({ egressIP }) => egressIP), ...(recorded ? [recorded.egressIP] : [])];
  return new Set(addresses.flatMap((address) => state.gateway.placement[address] ?? there[address] ?? []));
}

/** From this wave of `replacing` on a policy lets go; in those before it takes. */
export const LETTING_GO = 2;

/** Whether these waves of a policy let go of anything. */
export const letsGo = (waves: readonly Wave[]): boolean => waves.slice(LETTING_GO).some((wave) => wave.length > 0);

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
