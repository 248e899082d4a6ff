import type { Claim } from "../model/claim";
import type { RegistryEntry } from "../program/registry";
import { isAbandoned } from "./abandon";
import { reachable, sessionOf } from "./gateway-rollout";
import { type GatewayState, nodesOf } from "./gateway-state";
import { labelText } from "./label";
import { isOwnStack } from "./owner";
import type { Wave } from "./rollout";
import { memory } from "./run-memory";
import { straysOf } from "./strays";

/** So long a gateway waits for what this run wants of another one. The engine checks on while it executes. */
const PATIENCE_MS = 30_000;

/** A gateway of this run that gives up egress IPs which another one takes. */
export interface Handover {
  readonly from: string;
  readonly ips: readonly string[];
  /** As state has it, and as this run wants it. */
  readonly held: GatewayState | undefined;
  readonly wanted: GatewayState;
}

/**
 * Which gateways of this run give up what `state` takes. Of those that the registry names as holders, it is waited for
 * what the engine says of them, whichever of the two it comes to first; one that it never checks gives up nothing.
 */
export async function handoversTo(
  state: GatewayState,
  entries: readonly RegistryEntry[],
  patienceMs = PATIENCE_MS,
): Promise<Handover[]> {
  const ips = Object.keys(state.placement);
  const holders = entries.filter(
    ({ key, owner, holder }) => owner !== state.ownerId && ips.includes(key.slice("ip-".length)) && isOwnStack(holder),
  );
  const end = Date.now() + patienceMs;
  while (holders.some(({ owner }) => !memory.gateways.has(owner)) && Date.now() < end)
    await new Promise((resolve) => setTimeout(resolve, 20));
  return [...memory.gateways].flatMap(([from, { held, wanted }]): Handover[] => {
    const isHolder = (ip: string): boolean =>
      held?.placement[ip] !== undefined || holders.some(({ key, owner }) => owner === from && key === `ip-${ip}`);
    const given = ips.filter((ip) => from !== state.ownerId && isHolder(ip) && wanted.placement[ip] === undefined);
    return given.length > 0 ? [{ from, ips: given, held, wanted }] : [];
  });
}

/** What nodes know of other gateways that have what `state` takes, as a registry would say it: it may name the taker already. */
export function placedElsewhere({ ownerId, placement }: GatewayState, claims: readonly Claim[]): RegistryEntry[] {
  const found = claims.flatMap((claim) => {
    if (claim.kind !== "gateway" || claim.owner.id === ownerId) return [];
    const ips = Object.keys(placement).filter((ip) => claim.placement[ip] !== undefined);
    return ips.map((ip) => ({ key: `ip-${ip}`, owner: claim.owner.id, holder: labelText(claim.owner), content: "" }));
  });
  return [...new Map(found.map((entry) => [`${entry.key} ${entry.owner}`, entry])).values()];
}

/** Those of them that are new to the taker, and that their gateway keeps, whomever the registry names. */
export const notGiven = (
  placed: readonly RegistryEntry[],
  handovers: readonly Handover[],
  before: GatewayState | undefined,
): RegistryEntry[] =>
  placed.filter(
    ({ key, owner }) =>
      before?.placement[key.slice("ip-".length)] === undefined &&
      !handovers.some(({ from, ips }) => from === owner && ips.some((ip) => key === `ip-${ip}`)),
  );

/** Registry keys → whose they may be besides the taker's own. */
export const formerOwners = (handovers: readonly Handover[]): ReadonlyMap<string, string> =>
  new Map(handovers.flatMap(({ from, ips }) => ips.map((ip): [string, string] => [`ip-${ip}`, from])));

/** Egress IPs that another node than their new one has, for all that is known. What a node that is written off had comes at once. */
export function fromOtherNodes(handovers: readonly Handover[], state: GatewayState): string[] {
  return handovers.flatMap(({ ips, held }) =>
    ips.filter((ip) => {
      const holder = held?.placement[ip];
      return holder === undefined || (holder !== state.placement[ip] && !isAbandoned(holder));
    }),
  );
}

/** On all nodes of the givers: the addresses go, whether or not the givers' own updates have come to it. */
export function givingUp(handovers: readonly Handover[]): Wave {
  return handovers.flatMap(({ from, ips, held, wanted }) => {
    const nodes = reachable([...(held ? nodesOf(held) : []), ...nodesOf(wanted)]).map(sessionOf);
    const all = new Set([...nodes, ...straysOf(from, new Set(nodes.map(({ name }) => name)))]);
    return [...all].map((session) => ({
      session,
      change: { write: [], remove: [], letGo: { owner: from, ips } },
    }));
  });
}

/** Who holds an egress IP that was asked for, and for one of this very stack what to do about it. */
export function clashMessage({ key, holder }: RegistryEntry, fleet: string): string {
  const message = `egress IP ${key.slice("ip-".length)} is already held by ${holder} in fleet "${fleet}"`;
  return isOwnStack(holder)
    ? `${message}, which does not give it up before this gateway takes it. A gateway that is deleted lets go last, one outside --target not at all, and one that depends on this gateway only after it: give the address up in an earlier run, or let an alias make this gateway of that one. With few operations at a time (--parallel) it may not come to that one in time.`
    : message;
}
