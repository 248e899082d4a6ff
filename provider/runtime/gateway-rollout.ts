import { minimalCover } from "../model/address";
import type { NodeRef } from "../model/args";
import type { GatewayClaim, PeerNode, PolicyClaim } from "../model/claim";
import { isAbandoned } from "./abandon";
import { knownSessions, session } from "./context";
import { type GatewayState, nodesOf } from "./gateway-state";
import { isElsewhere, isOwnStack } from "./owner";
import type { Wave } from "./rollout";
import { memory } from "./run-memory";
import type { NodeSession } from "./session";
import { straysOf } from "./strays";

/** The claim behind a state: the same text on all its nodes. `hold` = addresses that another node may still have. */
export function claimOf(state: GatewayState, hold: readonly string[] = []): GatewayClaim {
  const isGateway = new Set(state.gateways.map(({ node }) => node));
  return {
    kind: "gateway",
    owner: { id: state.ownerId, ...state.label },
    nodes: Object.fromEntries(nodesOf(state).map((node) => [node.node, peerOf(node, isGateway.has(node.node))])),
    placement: state.placement,
    hold,
    extraIgnore: minimalCover(state.extraIgnore ?? []),
    onTunnelLoss: state.onTunnelLoss ?? "drop",
    inbound: state.inbound ?? "drop",
    weave: state.weave ?? false,
    ...(state.datapath === "bpf" ? { datapath: state.datapath } : {}),
    ...(state.answers === "cluster" ? { answers: state.answers } : {}),
  };
}

const peerOf = ({ index, underlayIP, connection }: NodeRef, gateway: boolean): PeerNode => ({
  index,
  underlay: underlayIP,
  gateway,
  ...(connection.netns === undefined ? {} : { pod: true }),
});

/** Where answers come to take the cluster's routes, clients let them in first; where they no longer do, last. Else all nodes are one wave. */
function inOrderOfAnswers(
  nodes: readonly NodeRef[],
  state: GatewayState,
  before: GatewayState | undefined,
): [NodeRef[], NodeRef[]] {
  const [was, is] = [before?.answers === "cluster", state.answers === "cluster"];
  if (!before || was === is) return [[], [...nodes]];
  const names = new Set(state.gateways.map(({ node }) => node));
  const [gateways, clients] = [true, false].map((one) => nodes.filter(({ node }) => names.has(node) === one));
  return (is ? [clients, gateways] : [gateways, clients]) as [NodeRef[], NodeRef[]];
}

/** The same before gateways that gain addresses, which come first: clients have the claim that they have, but let such answers in. */
function lettingIn(nodes: readonly NodeRef[], { answers, ...state }: GatewayState): Wave[] {
  if (answers !== "cluster") return [];
  const clients = nodes.filter(({ node }) => state.gateways.every((gateway) => gateway.node !== node));
  const wave = clients.map(sessionOf).flatMap((session) => {
    const claim = claimedOn(session, state);
    const isStrict = claim !== undefined && claim.answers !== answers;
    return isStrict ? [{ session, change: { write: [{ ...claim, answers }], remove: [] } }] : [];
  });
  return wave.length > 0 ? [wave] : [];
}

/** What other gateways give up to this one: the addresses that other nodes have till then, and the changes on their nodes. */
export interface Given {
  readonly fromOtherNodes: readonly string[];
  readonly wave: Wave;
}

const NOTHING: Given = { fromOtherNodes: [], wave: [] };

/** Gateways that gain addresses first (the addresses themselves held back while another node has them), then all others, then the addresses. `left`: what else goes, see `leftOvers`. */
export function growing(
  state: GatewayState,
  before: GatewayState | undefined,
  policies: readonly PolicyClaim[],
  given: Given = NOTHING,
  left: Wave = [],
): Wave[] {
  const holdersOf = holdersIn(state, before);
  // What a node held that is written off comes at once, and is probed for: nobody can tell whether that node still has it.
  const own = Object.keys(state.placement).filter((ip) =>
    holdersOf(ip).some((holder) => holder !== state.placement[ip] && !isAbandoned(holder)),
  );
  const moved = [...new Set([...own, ...given.fromOtherNodes])].filter((ip) => !isInPlace(state, ip));
  const gaining = new Set(
    Object.entries(state.placement)
      .filter(([ip, node]) => holdersOf(ip).some((holder) => holder !== node) || before?.placement[ip] !== node)
      .map(([, node]) => node),
  );
  const known = new Set(
    before
      ? nodesOf(before)
          .filter((node) => isOn(state, node))
          .map(({ node }) => node)
      : [],
  );
  const write = (node: NodeRef, hold: readonly string[]) => ({
    session: sessionOf(node),
    // A node that is new to the gateway gets the gateway's policies together with it.
    change: {
      write: [claimOf(state, hold), ...(known.has(node.node) ? [] : arriving(node, state, policies))],
      remove: [],
    },
  });
  const nodes = reachable(nodesOf(state));
  const first = nodes.filter(({ node }) => gaining.has(node));
  const names = new Set(nodesOf(state).map(({ node }) => node));
  const leaving = before ? reachable(nodesOf(before)).filter(({ node }) => !names.has(node)) : [];
  const rest = nodes.filter(({ node }) => !gaining.has(node));
  const [early, late] = inOrderOfAnswers(rest, state, before);
  return [
    ...(first.length > 0 ? lettingIn(rest, state) : []),
    first.map((node) => write(node, moved)),
    ...(early.length > 0 ? [early.map((node) => write(node, []))] : []),
    [
      ...late.map((node) => write(node, [])),
      ...leaving.map((node) => removal(sessionOf(node), state.ownerId, policies.filter(isForeign))),
      ...left,
      ...given.wave,
    ],
    ...(moved.length > 0
      ? [first.map((node) => ({ session: sessionOf(node), change: { write: [claimOf(state)], remove: [], moved } }))]
      : []),
  ];
}

/**
 * What a failed or killed update left: the gateway on other nodes of this run, and on its own nodes policies of this run that
 * are not its own any more. A policy of this stack that is the gateway's leaves a node by itself: until then it drops what it
 * selects there, which may be another gateway's by then.
 */
export function leftOvers(state: GatewayState, policies: readonly PolicyClaim[]): Wave {
  const strays = straysOf(state.ownerId, namesOf(state)).map((node) =>
    removal(node, state.ownerId, policies.filter(isForeign)),
  );
  const misplaced = misplacedOn(state).map(({ session, ownerId }) => ({
    session,
    change: { write: [], remove: [], removeOf: { gateway: state.ownerId, policies: [ownerId] } },
  }));
  return [...strays, ...misplaced];
}

/** Policies that are on a gateway's nodes by it, though this run has them on another one, and not on this node: there they come by themselves. */
export const misplacedOn = (state: GatewayState) =>
  reachable(nodesOf(state))
    .map(sessionOf)
    .flatMap((session) =>
      (session.seen?.claims ?? [])
        .filter((claim) => claim.kind === "policy" && claim.gateway === state.ownerId && isElsewhere(claim))
        .filter(({ owner }) => !memory.live.get(owner.id)?.nodes.has(session.name))
        .map(({ owner }) => ({ session, ownerId: owner.id })),
    );

export const namesOf = (...states: readonly GatewayState[]): ReadonlySet<string> =>
  new Set(states.flatMap((state) => nodesOf(state).map(({ node }) => node)));

/** Clients first, so that nothing is sent to a gateway that no longer answers for it. `policies`: those that go with it. */
export function shrinking(
  state: GatewayState,
  stays: ReadonlySet<string> = new Set(),
  policies: readonly PolicyClaim[] = [],
): Wave[] {
  const isGateway = new Set(state.gateways.map(({ node }) => node));
  const nodes = reachable(nodesOf(state)).filter(({ node }) => !stays.has(node));
  const [clients, gateways] = [false, true].map((is) => nodes.filter(({ node }) => isGateway.has(node) === is));
  const strays = straysOf(state.ownerId, new Set([...namesOf(state), ...stays]));
  const go = (some: readonly NodeSession[]): Wave => some.map((node) => removal(node, state.ownerId, policies));
  return [go([...(clients ?? []).map(sessionOf), ...strays]), go((gateways ?? []).map(sessionOf))];
}

/** A policy that is on the node by another gateway, or that this run has there, is not put back. */
const arriving = (node: NodeRef, { ownerId }: GatewayState, policies: readonly PolicyClaim[]): PolicyClaim[] =>
  policies.filter(({ owner: { id } }) =>
    [memory.policies.get(id)?.gateway, gatewayOn(sessionOf(node), id)].every((one) => (one ?? ownerId) === ownerId),
  );

const isForeign = ({ owner }: PolicyClaim): boolean => !isOwnStack(`${owner.project}/${owner.stack}/`);

/** The gateway goes, and of these policies those that are on the node by it. */
const removal = (session: NodeSession, ownerId: string, policies: readonly PolicyClaim[]) => ({
  session,
  change: {
    write: [],
    remove: [ownerId],
    removeOf: { gateway: ownerId, policies: policies.map(({ owner }) => owner.id) },
  },
});

/** The gateway as a node has it, for what was seen of it. */
const claimedOn = ({ seen }: NodeSession, { ownerId }: GatewayState): GatewayClaim | undefined =>
  seen?.claims.find((claim): claim is GatewayClaim => claim.kind === "gateway" && claim.owner.id === ownerId);

/** Where egress IPs are by the state and by what nodes say: a run that failed or was killed may have left them elsewhere. */
function holdersIn(state: GatewayState, before: GatewayState | undefined): (ip: string) => string[] {
  const known = [before, ...knownSessions().map((node) => claimedOn(node, state))].filter((one) => one !== undefined);
  return (ip) => known.flatMap(({ placement }) => placement[ip] ?? []);
}

/** Whether the node that is to have an egress IP has it, by its claim and in its kernel, so that it keeps it whatever others say. */
const isInPlace = (state: GatewayState, ip: string): boolean =>
  knownSessions().some((node) => {
    const claim = node.name === state.placement[ip] ? claimedOn(node, state) : undefined;
    const isThere = node.seen?.actual.some((o) => o.kind === "address" && o.address === ip);
    return isThere === true && claim?.placement[ip] === node.name && !claim.hold.includes(ip);
  });

/** Whether a node that the state names has the gateway: it may never have come there, or its claims are lost. */
const isOn = (state: GatewayState, node: NodeRef): boolean => {
  const here = sessionOf(node);
  return here.seen === undefined || claimedOn(here, state) !== undefined;
};

/** By which gateway a node has a policy, for what was seen of it. */
function gatewayOn({ seen }: NodeSession, id: string): string | undefined {
  const claim = seen?.claims.find(({ owner }) => owner.id === id);
  return claim?.kind === "policy" ? claim.gateway : undefined;
}

export const sessionOf = (node: NodeRef): NodeSession => session(node.node, node.connection);
export const reachable = (nodes: readonly NodeRef[]): NodeRef[] => nodes.filter(({ node }) => !isAbandoned(node));
