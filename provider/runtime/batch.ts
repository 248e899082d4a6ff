import { cutsOf } from "../compile/cuts";
import { compileNode } from "../compile/node";
import { chooseTable, isOneOf } from "../compile/table-number";
import { type NodeFacts, peersOf, viewOf } from "../compile/view";
import { type KernelObject, keyOf, type Owned } from "../kernel/state";
import type { Claim, GatewayClaim } from "../model/claim";
import type { Batch } from "../program/apply";
import { PROGRAMS } from "../program/files";
import { ofKind } from "../reconcile/changes";
import { plan } from "../reconcile/plan";
import { type Step, step } from "../reconcile/step";
import { fileDrift, RESTORE_DIGESTS } from "./files";
import { labelText } from "./label";
import { requireOneRole } from "./pod-roles";
import { objectsOf } from "./program-objects";
import { COMPILER, factsOf, type NodeFile, type Snapshot } from "./snapshot";
import { unreadPrograms } from "./unread-programs";

/** What one resource changes on one node. */
export interface Change {
  readonly write: readonly Claim[];
  /** Owner ids. */
  readonly remove: readonly string[];
  /** Policies, by owner id, as long as the node has them by this gateway. */
  readonly removeOf?: { readonly gateway: string; readonly policies: readonly string[] };
  /** Egress IPs that another node of ours has let go of by now. */
  readonly moved?: readonly string[];
  /** Egress IPs that a gateway's claim loses, whatever else it says by then. */
  readonly letGo?: { readonly owner: string; readonly ips: readonly string[] };
}

/** What `ip -batch` makes; sets and rules come back by their own tools. */
const BY_IP: ReadonlySet<KernelObject["kind"]> = new Set(["link", "address", "neighbour", "route", "ip-rule"]);

/** Claims after changes, in the order of the changes. */
export function withChanges(claims: readonly Claim[], changes: readonly Change[]): Claim[] {
  const byId = new Map(claims.map((claim) => [claim.owner.id, claim]));
  for (const { write, remove, removeOf, letGo } of changes) {
    for (const id of remove) byId.delete(id);
    for (const id of removeOf?.policies ?? []) {
      const claim = byId.get(id);
      if (claim?.kind === "policy" && claim.gateway === removeOf?.gateway) byId.delete(id);
    }
    for (const claim of write) byId.set(claim.owner.id, claim);
    const giver = byId.get(letGo?.owner ?? "");
    if (letGo && giver?.kind === "gateway") byId.set(letGo.owner, withoutAddresses(giver, letGo.ips));
  }
  return [...byId.values()];
}

function withoutAddresses(claim: GatewayClaim, ips: readonly string[]): GatewayClaim {
  const kept = Object.entries(claim.placement).filter(([ip]) => !ips.includes(ip));
  if (kept.length === Object.keys(claim.placement).length) return claim;
  return { ...claim, placement: Object.fromEntries(kept), hold: claim.hold.filter((ip) => !ips.includes(ip)) };
}

/**
 * The batch that makes a node's claims these. `moved`: egress IPs for which nobody is asked any more. Pure.
 * @throws Error if programs there can't be read, no routing table is left for a leg, a gateway pod comes to be a policy's source, or the node's enrolment is lost while others need it.
 */
export function batchFor(
  snapshot: Snapshot,
  claims: readonly Claim[],
  moved: readonly string[] = [],
): { batch: Batch; desired: Owned[] } {
  const unread = unreadPrograms(snapshot.host);
  if (unread !== undefined) throw new Error(`nothing was changed: ${unread}`);
  requireEnrolment(snapshot, claims);
  requireOneRole(snapshot.claims, claims);
  const { host } = snapshot;
  const { loosened } = snapshot.node ?? {};
  const facts = factsOf({ tables: allocateTables(snapshot, claims), loosened }, host, claims);
  const desired = compileNode(claims, facts);
  const objects = desired.map(({ object }) => object);
  const isEnrolled = claims.some((claim) => claim.kind === "node");
  const former = snapshot.claims.find((claim) => claim.kind === "node");
  const known = new Set(snapshot.claims.map((claim) => JSON.stringify(claim)));
  const ids = new Set(claims.map((claim) => claim.owner.id));
  const file: NodeFile = {
    version: 1,
    tables: facts.tables,
    dropPolicies: facts.dropPolicies,
    podDevices: facts.podDevices ?? [],
    carried: facts.carried ?? {},
    loosened: facts.loosened ?? {},
    restore: restoreOf(host),
  };
  const written = claims
    .map((claim): [string, string] => [claim.owner.id, JSON.stringify(claim)])
    .filter(([, json]) => !known.has(json));
  const steps = withoutProbes(plan(objects, snapshot.actual), new Set(moved));
  return {
    desired,
    batch: {
      expectedGeneration: snapshot.generation,
      steps,
      newTables: newTables(snapshot.node?.tables ?? {}, facts.tables),
      objects: objectsOf(
        steps,
        [...claims, ...snapshot.claims],
        isKeptForBoot(snapshot) ? [] : ofKind(objects, "bpf-program"),
      ),
      claims: {
        write: Object.fromEntries(written),
        remove: [...snapshot.claims.map((claim) => claim.owner.id), ...snapshot.misread].filter((id) => !ids.has(id)),
      },
      node: isEnrolled ? JSON.stringify(file) : undefined,
      compiler: COMPILER,
      cuts: cutsOf(snapshot.claims, claims, facts),
      bury: isEnrolled ? undefined : former?.underlay,
      announce: newAddresses(objects, snapshot.actual),
      installRestore: host.netns === undefined && (!hasRestore(snapshot) || fileDrift(snapshot).length > 0),
      restoreIp: plan(
        objects.filter(({ kind }) => BY_IP.has(kind)),
        [],
      )
        .filter(({ tool }) => tool === "ip")
        .flatMap(({ input }) => input),
    },
  };
}

/** Without the claim of its NodeMark a node is emptied: not while it has others, nor where it is lost, since nothing would be cut. */
function requireEnrolment(snapshot: Snapshot, claims: readonly Claim[]): void {
  const isNode = ({ kind }: Claim): boolean => kind === "node";
  if (claims.some(isNode)) return;
  const isEnrolled = snapshot.claims.some(isNode);
  if (isEnrolled && claims.length > 0) {
    const users = claims.map(({ kind, owner }) => `${kind} ${labelText(owner)}`);
    throw new Error(`still used by ${users.join(", ")}, so nothing was changed. Remove these first.`);
  }
  if (!isEnrolled && (claims.length > 0 || snapshot.actual.length > 0))
    throw new Error(
      "it is not enrolled, or its enrolment is lost, so nothing was changed. Run pulumi up of the stack that has its NodeMark first.",
    );
}

/** What a boot loads programs from is as the last apply left it. */
function isKeptForBoot({ files: { recorded, there } }: Snapshot): boolean {
  return there.has(PROGRAMS) && recorded.get(PROGRAMS) === there.get(PROGRAMS);
}

/** A network namespace does not outlive a boot, so it has no program for that. */
const restoreOf = ({ netns }: Snapshot["host"]): NodeFile["restore"] => (netns === undefined ? RESTORE_DIGESTS : {});

/** A node whose restore program is of another version gets ours with its next batch. */
const hasRestore = ({ node }: Snapshot): boolean => JSON.stringify(node?.restore) === JSON.stringify(RESTORE_DIGESTS);

/** True if a batch would change nothing on the node, files included. */
export function isEmpty(batch: Batch, snapshot: Snapshot): boolean {
  const { write, remove } = batch.claims;
  const isSameFile = batch.node === (snapshot.node && JSON.stringify(snapshot.node));
  const isWhole = batch.node === undefined || fileDrift(snapshot).length === 0;
  const changes = batch.steps.length + Object.keys(write).length + remove.length + batch.cuts.length;
  return changes === 0 && isSameFile && isWhole;
}

/** Nobody else is asked for an address that has just been ours: while it moves, its connections wait. */
function withoutProbes(steps: readonly Step[], addresses: ReadonlySet<string>): Step[] {
  return steps.flatMap((one) =>
    one.tool === "arping"
      ? step(
          one.tool,
          one.input.filter((line) => !addresses.has(line.split(" ")[1] ?? "")),
          one.undo,
        )
      : [one],
  );
}

/** Seed 002's table algorithm over the legs that this node needs; a leg keeps the table it has, while that is one of the fleet's. */
function allocateTables(snapshot: Snapshot, claims: readonly Claim[]): Record<string, number> {
  const held = snapshot.node?.tables ?? {};
  const view = viewOf(claims, { tables: held, dropPolicies: [] });
  if (!view) return {};
  const peers = peersOf(view).map(({ index }) => index);
  const tables = Object.fromEntries(
    peers.flatMap((index) => (isOneOf(view.node.fleet.tables, held[index]) ? [[index, held[index]]] : [])),
  ) as Record<string, number>;
  for (const index of peers) {
    const taken = new Set([...snapshot.host.tables, ...Object.values(tables)]);
    tables[index] ??= chooseTable(view.node.fleet.tables, `${view.node.node}/${index}`, taken);
  }
  return tables;
}

function newTables(held: NodeFacts["tables"], tables: NodeFacts["tables"]): number[] {
  return Object.entries(tables).flatMap(([index, table]) => (held[index] === table ? [] : [table]));
}

function newAddresses(
  desired: readonly KernelObject[],
  actual: readonly KernelObject[],
): { device: string; address: string }[] {
  const there = new Set(actual.map(keyOf));
  return desired.flatMap((o) =>
    o.kind === "address" && o.device !== "egw.vxlan" && !there.has(keyOf(o))
      ? [{ device: o.device, address: o.address }]
      : [],
  );
}
