import { shortHash } from "../compile/names";
import { allocateMark } from "../model/allocation";
import type { FleetArgs, NodeMarkArgs, Problem } from "../model/args";
import type { Claim } from "../model/claim";
import { normalizeFleet } from "../model/defaults";
import { hex, indexOf, markOf } from "../model/mark";
import type { RegistryEntry } from "../program/registry";
import { type Label, labelText } from "./label";
import type { NodeMarkState } from "./node-mark-state";
import { isOwnStack } from "./owner";
import { canonical, type Properties } from "./result";
import { inner, memory } from "./run-memory";
import type { Snapshot } from "./snapshot";

/** Whether nothing has to be claimed anew: the same settings, at the same registry, however that is reached. */
export const isSameFleet = (a: FleetArgs, b: FleetArgs): boolean =>
  canonical([normalizeFleet(a), a.registry.node]) === canonical([normalizeFleet(b), b.registry.node]);

/** A node that was never enrolled must be reachable, one that was shows as drift instead; and the registry, where something is claimed. */
export function reachProblems(
  args: NodeMarkArgs,
  held: (NodeMarkArgs & { readonly index: number }) | undefined,
  seen: { error?: Error },
  registry: { error?: Error },
): Problem[] {
  const isOtherMark = args.mark !== undefined && indexOf(Number(args.mark)) !== held?.index;
  const isClaiming = !held || !isSameFleet(held.fleet, args.fleet) || isOtherMark;
  return [
    ...(seen.error && !held ? [{ path: "connection", message: `${seen.error.message}` }] : []),
    ...(registry.error && isClaiming && (held || args.fleet.registry.node !== args.node)
      ? [
          {
            path: "fleet.registry",
            message: `${registry.error.message}. No mark can be claimed while the fleet's registry can't be reached.`,
          },
        ]
      : []),
  ];
}

/** A NodeMark as messages of this program name it. */
export const namedIn = (label: Label, node: string): string => `${label.name} (${node})`;

export function fleetProblems(args: NodeMarkArgs, label: Label): Problem[] {
  const settings = normalizeFleet(args.fleet);
  const registry = args.fleet.registry.node;
  const first = memory.fleets.get(args.fleet.name);
  if (!first) memory.fleets.set(args.fleet.name, { settings, registry, node: namedIn(label, args.node) });
  if (!first || canonical([first.settings, first.registry]) === canonical([settings, registry])) return [];
  return [
    {
      path: "fleet",
      message: `fleet "${args.fleet.name}" has other settings here than in ${first.node}. All NodeMarks of a fleet share registry, ports, tables and ignore.`,
    },
  ];
}

/** The indexes of a fleet's nodes, as its registry and this run know them. */
export function indexesIn(fleet: string, registry: Snapshot | undefined): number[] {
  const entries = registry?.registry.get(fleet) ?? [];
  const held = entries.flatMap(({ key }) => (key.startsWith("mark-") ? [Number(key.slice("mark-".length))] : []));
  return [...new Set([...held, ...inner(memory.marks, fleet).keys()])];
}

/** A tunnel device shares its UDP port with nobody; that of a tunnel of ours is ours. */
export function portProblems({ host, actual }: Snapshot, { node, fleet }: NodeMarkArgs): Problem[] {
  const { tunnelPort } = normalizeFleet(fleet);
  const isOurs = actual.some((o) => o.kind === "link" && o.port === tunnelPort);
  if (isOurs || !host.udpPorts.has(tunnelPort)) return [];
  const message = `node ${node}: UDP port ${tunnelPort} is in use there. Choose another one for the fleet, or stop what uses it.`;
  return [{ path: "fleet.tunnelPort", message }];
}

export function foreignNode(snapshot: Snapshot, ownerId: string): Problem[] {
  const other = snapshot.claims.find((claim) => claim.kind === "node" && claim.owner.id !== ownerId);
  return other
    ? [
        {
          path: "node",
          message: `this node is already enrolled by ${labelText(other.owner)}. Use that NodeMark's ref, or destroy it first.`,
        },
      ]
    : [];
}

/** True for the machine that a NodeMark is about, by whatever name it is reached now. */
export const isEnrolledBy = (snapshot: Snapshot | undefined, ownerId: string): boolean =>
  snapshot?.claims.some((claim) => claim.kind === "node" && claim.owner.id === ownerId) ?? false;

/** Another name or fleet for the same machine means to leave and to come again, which no gateway of it survives. */
export function renameProblems(olds: Properties, args: NodeMarkArgs, snapshot: Snapshot): Problem[] {
  const before = olds as Partial<NodeMarkState> | undefined;
  if (before?.ownerId === undefined || !isEnrolledBy(snapshot, before.ownerId)) return [];
  const users = snapshot.claims.filter(({ kind }) => kind !== "node");
  if (users.length === 0) return [];
  const names = users.map(({ kind, owner }) => `${kind} ${labelText(owner)}`).join(", ");
  const isRenamed = before.node !== args.node;
  const change = isRenamed
    ? `node ${before.node} to ${args.node}`
    : `fleet "${before.fleet?.name}" to "${args.fleet.name}"`;
  return [
    {
      path: isRenamed ? "node" : "fleet.name",
      message: `from ${change} on the same machine means to enrol it anew, but ${names} still use it. Take it out of the gateways in an up of its own first.`,
    },
  ];
}

/** Explicit, else held, else by hash the next that neither the registry nor this run has given away, nor any node that was seen has. */
export function chooseIndex(
  args: NodeMarkArgs,
  held: { readonly index: number } | undefined,
  ownerId: string,
  registry: Snapshot | undefined,
  seen: readonly Claim[] = [],
): { index?: number; problems: Problem[] } {
  const inRun = inner(memory.marks, args.fleet.name);
  const entries = (registry?.registry.get(args.fleet.name) ?? []).filter(
    (entry) => entry.key.startsWith("mark-") && entry.owner !== ownerId,
  );
  const wanted = args.mark !== undefined ? indexOf(Number(args.mark)) : held?.index;
  const taken = new Map(entries.map((entry) => [Number(entry.key.slice("mark-".length)), entry.holder]));
  for (const [index, node] of held ? [] : marksSeen(args.fleet.name, seen, ownerId))
    if (node !== args.node) taken.set(index, taken.get(index) ?? `node ${node}`);
  for (const [index, node] of inRun) if (node !== args.node) taken.set(index, `node ${node} of this run`);
  const index = wanted ?? allocateMark(args.node, args.fleet.name, new Set(taken.keys()));
  const holder = taken.get(index);
  if (holder !== undefined) {
    return {
      problems: [
        {
          path: "mark",
          message: `${hex(markOf(index))} is already held by ${holder} in fleet "${args.fleet.name}". Leave mark out to get a free one.`,
        },
      ],
    };
  }
  inRun.set(index, args.node);
  return { index, problems: [] };
}

/** Index → node, of one fleet, as the claims of others say. */
function marksSeen(fleet: string, claims: readonly Claim[], ownerId: string): Map<number, string> {
  const marks = new Map<number, string>();
  for (const claim of claims.filter(({ owner }) => owner.id !== ownerId)) {
    if (claim.kind === "node" && claim.fleet.name === fleet) marks.set(claim.index, claim.node);
    // A gateway's claim names no fleet; a mark that is left out for nothing does no harm.
    if (claim.kind === "gateway") for (const [node, { index }] of Object.entries(claim.nodes)) marks.set(index, node);
  }
  return marks;
}

export const settingsOwner = (args: NodeMarkArgs): string =>
  `settings-${shortHash(canonical(normalizeFleet(args.fleet)))}`;

export const settingsMessage = (fleet: string, entry: RegistryEntry): string =>
  `fleet "${fleet}" has other settings in its registry, written by ${entry.holder}: ${entry.content}. Use the same settings, or change them in every stack of the fleet.`;

/** Who of another stack is in the fleet: while there is one, its settings can't be changed from here. */
export function foreignMembers(entries: readonly RegistryEntry[] | undefined): RegistryEntry[] {
  return (entries ?? []).filter(({ key, holder }) => key.startsWith("mark-") && !isOwnStack(holder));
}

/** Refuse in preview what the claim would refuse. */
export function settingsProblems(args: NodeMarkArgs, registry: Snapshot | undefined): Problem[] {
  const entries = registry?.registry.get(args.fleet.name);
  const settings = entries?.find(({ key }) => key === "settings");
  if (!settings || settings.owner === settingsOwner(args) || foreignMembers(entries).length === 0) return [];
  return [{ path: "fleet", message: settingsMessage(args.fleet.name, settings) }];
}
