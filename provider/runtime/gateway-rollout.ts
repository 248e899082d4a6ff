import { minimalCover } from "../model/address";
import type { NodeRef } from "../model/args";
import type { GatewayClaim, PolicyClaim } from "../model/claim";
import { isAbandoned } from "./abandon";
import { session } from "./context";
import { type GatewayState, nodesOf } from "./gateway-state";
import type { Wave } from "./rollout";
import type { NodeSession } from "./session";

/** The claim behind a state: the same text on all its nodes. `hold` = addresses that another node may still have. */
export function claimOf(state: GatewayState, hold: readonly string[] = []): GatewayClaim {
  const isGateway = new Set(state.gateways.map(({ node }) => node));
  return {
    kind: "gateway",
    owner: { id: state.ownerId, ...state.label },
    nodes: Object.fromEntries(
      nodesOf(state).map((n) => [n.node, { index: n.index, underlay: n.underlayIP, gateway: isGateway.has(n.node) }]),
    ),
    placement: state.placement,
    hold,
    extraIgnore: minimalCover(state.extraIgnore ?? []),
    onTunnelLoss: state.onTunnelLoss ?? "drop",
    inbound: state.inbound ?? "drop",
    weave: state.weave ?? false,
  };
}

/** What other gateways give up to this one: the addresses that other nodes have till then, and the changes on their nodes. */
export interface Given {
  readonly fromOtherNodes: readonly string[];
  readonly wave: Wave;
}

const NOTHING: Given = { fromOtherNodes: [], wave: [] };

/** Gateways that gain addresses first (the addresses themselves held back while another node has them), then all others, then the addresses. `strays`: other nodes that have the gateway, and are to lose it. */
export function growing(
  state: GatewayState,
  before: GatewayState | undefined,
  policies: readonly PolicyClaim[],
  given: Given = NOTHING,
  strays: readonly NodeSession[] = [],
): Wave[] {
  // What a node held that is written off comes at once, and is probed for: nobody can tell whether that node still has it.
  const own = Object.keys(state.placement).filter((ip) => {
    const holder = before?.placement[ip];
    return holder !== undefined && holder !== state.placement[ip] && !isAbandoned(holder);
  });
  const moved = [...new Set([...own, ...given.fromOtherNodes])];
  const gaining = new Set(
    Object.entries(state.placement)
      .filter(([ip, node]) => before?.placement[ip] !== node)
      .map(([, node]) => node),
  );
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
  const left = new Set([...leaving.map(sessionOf), ...strays]);
  const rest = nodes.filter(({ node }) => !gaining.has(node));
  return [
    first.map((node) => write(node, moved)),
    [
      ...rest.map((node) => write(node, [])),
      ...[...left].map((node) => removal(node, state.ownerId, policies)),
      ...given.wave,
    ],
    ...(moved.length > 0 ? [first.map((node) => write(node, []))] : []),
  ];
}

/** Clients first, so that nothing is sent to a gateway that no longer answers for it. `policies`: those that go with it. */
export function shrinking(
  state: GatewayState,
  stays: ReadonlySet<string> = new Set(),
  policies: readonly PolicyClaim[] = [],
): Wave[] {
  const isGateway = new Set(state.gateways.map(({ node }) => node));
  const nodes = reachable(nodesOf(state)).filter(({ node }) => !stays.has(node));
  const go = (some: readonly NodeRef[]): Wave => some.map((node) => removal(sessionOf(node), state.ownerId, policies));
  return [go(nodes.filter(({ node }) => !isGateway.has(node))), go(nodes.filter(({ node }) => isGateway.has(node)))];
}

const removal = (session: NodeSession, ownerId: string, policies: readonly PolicyClaim[]) => ({
  session,
  change: { write: [], remove: [ownerId, ...policies.map(({ owner }) => owner.id)] },
});

export const sessionOf = (node: NodeRef): NodeSession => session(node.node, node.connection);
export const reachable = (nodes: readonly NodeRef[]): NodeRef[] => nodes.filter(({ node }) => !isAbandoned(node));
