import type { Owned } from "../kernel/state";
import type { ConnectionRef } from "../model/connection";
import { applyScript, type Batch, forgetDigestScript } from "../program/apply";
import { parseSections } from "../program/frame";
import { claimScript, type RegistryEntry, releaseScript } from "../program/registry";
import { probeScript } from "../program/shell-probe";
import { type Difference, describe, diff } from "../reconcile/diff";
import { NodeError } from "../transport/errors";
import type { Transport } from "../transport/transport";
import { answerOf } from "./answer";
import { batchFor, type Change, isEmpty, withChanges } from "./batch";
import { failureOf } from "./batch-failure";
import { namesIn, orphanSets, withoutOrphans } from "./orphans";
import { COMPILER, compiledOn, parseSnapshot, type Snapshot } from "./snapshot";

/** So long a node that could not be read counts as unreachable without another try. */
const FAILURE_KEPT_MS = 30_000;

interface Waiting {
  readonly change: Change;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** A batch hands over connections one by one where a node's tools can't do many at once. */
const APPLY_TIMEOUT_MS = 600_000;

/** So often a batch goes out for a node that changes meanwhile. */
const MOST_ATTEMPTS = 5;

/** A pod that goes while a batch is on its way takes it along with its device; one that comes again can have a device of that name. */
const isLostFilter = ({ kind, desired }: Difference): boolean => kind === "missing" && desired?.kind === "tc-filter";

/** Everything that this process does on one node: one cached snapshot, one batch at a time, and what arrives meanwhile goes out together. */
export class NodeSession {
  private cached: Promise<Snapshot> | undefined;
  /** The node as it was last read, without asking. */
  seen: Snapshot | undefined;
  private waiting: Waiting[] = [];
  private isBusy = false;
  /** Sets of policies that this process found on the node without a claim for them; it puts a lost manifest together claim by claim. */
  private readonly orphans = new Set<string>();

  constructor(
    readonly name: string,
    readonly connection: ConnectionRef,
    private readonly transport: Transport,
  ) {}

  /** The node as last seen by this process; the first call reads it in one round trip. */
  snapshot(): Promise<Snapshot> {
    const reading = this.cached ?? this.read();
    this.cached = reading;
    // A node that can't be reached is not dialled anew for every resource, only after a while.
    reading.then(
      (snapshot) => {
        if (this.cached === reading) this.seen = snapshot;
      },
      () => {
        setTimeout(() => {
          if (this.cached === reading) this.forget();
        }, FAILURE_KEPT_MS).unref();
      },
    );
    return reading;
  }

  forget(): void {
    this.cached = undefined;
  }

  /** Writes and removes claims and brings the node to what they compile to. Rejects with NodeError; then nothing has changed unless it says so. */
  apply(change: Change): Promise<void> {
    return new Promise((done, failed) => {
      this.waiting.push({ change, done, failed });
      void this.work();
    });
  }

  /** Claims names in a fleet's registry on this node: all or none. Returns the entries of others that are in the way. */
  async claim(
    fleet: string,
    entries: readonly RegistryEntry[],
    replacing: readonly string[] = [],
    former?: ReadonlyMap<string, string>,
  ): Promise<RegistryEntry[]> {
    const sections = parseSections(await this.run(claimScript(fleet, entries, replacing, former)));
    this.forget();
    if (sections.has("claimed")) return [];
    const clash = sections.get("clash");
    if (clash === undefined) throw new NodeError(this.name, "rejected", "the registry gave no answer");
    return clash
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as RegistryEntry);
  }

  /** Lets go of what an owner holds in a fleet's registry on this node, but for the keys in `keep`. */
  async release(fleet: string, owner: string, keep: readonly string[] = []): Promise<void> {
    const sections = parseSections(await this.run(releaseScript(fleet, owner, keep)));
    this.forget();
    if (!sections.has("released")) throw new NodeError(this.name, "rejected", "the registry gave no answer");
  }

  private async read(): Promise<Snapshot> {
    const snapshot = this.parsed(await this.run(probeScript(COMPILER)));
    if (!snapshot.isManifestWhole)
      for (const name of orphanSets(snapshot.actual, compiledOn(snapshot))) this.orphans.add(name);
    return snapshot;
  }

  private async run(script: string, options?: { timeoutMs: number }): Promise<string> {
    return answerOf(this.name, await this.transport.run(this.name, this.connection, script, options));
  }

  private parsed(stdout: string): Snapshot {
    try {
      return parseSnapshot(stdout);
    } catch (cause) {
      throw new NodeError(this.name, "rejected", `the node's answer can't be read: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  private async work(): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    // One turn of the event loop, so that what the engine starts together goes out together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      const group = this.waiting;
      this.waiting = [];
      await this.commit(group);
    }
    this.isBusy = false;
  }

  /** A group that fails is tried one by one, so that only the guilty one fails; a node that is gone is not tried again for each. */
  private async commit(group: readonly Waiting[]): Promise<void> {
    try {
      await this.commitChanges(group.map(({ change }) => change));
      for (const { done } of group) done();
    } catch (error) {
      const isHopeless = error instanceof NodeError && (error.kind === "unreachable" || error.kind === "unverified");
      if (group.length === 1 || isHopeless) for (const { failed } of group) failed(error);
      else for (const one of group) await this.commit([one]);
    }
  }

  private async commitChanges(changes: readonly Change[], first = 1): Promise<void> {
    for (let attempt = first; ; attempt++) {
      const isFresh = this.cached === undefined;
      const snapshot = await this.snapshot();
      const planned = this.planned(snapshot, changes);
      if (planned instanceof NodeError) {
        // What stood in the way when the node was last read may have been put right since.
        if (isFresh) throw planned;
        this.forget();
        continue;
      }
      const { batch, desired } = planned;
      if (isEmpty(batch, snapshot)) return;
      const sections = await this.send(batch);
      if (sections.stale && attempt < MOST_ATTEMPTS) {
        this.forget();
        continue;
      }
      if (sections.stale)
        throw new NodeError(
          this.name,
          "stale",
          "another run keeps changing this node; nothing was changed by this one",
        );
      if (!(await this.verify(desired, sections.snapshot, attempt >= MOST_ATTEMPTS)))
        await this.commitChanges([], attempt + 1).catch((cause: NodeError) => {
          throw cause.kind === "unverified"
            ? cause
            : this.unverified(`programs of pods that came meanwhile: ${cause.message}`);
        });
      return;
    }
  }

  private unverified(what: string): NodeError {
    return new NodeError(this.name, "unverified", `applied, but ${what}`);
  }

  /** The kernel must show what we asked for; what it shows instead is said exactly. False where its devices have changed, and get what is claimed in another batch. */
  private async verify(desired: readonly Owned[], after: Snapshot, isLast: boolean): Promise<boolean> {
    const there = withoutOrphans(after.actual, this.orphans, desired);
    const left = diff(desired, there, "");
    if (left.length === 0) {
      for (const name of namesIn(desired)) this.orphans.delete(name);
      this.cached = Promise.resolve(after);
      this.seen = after;
      // What nobody claims by the end of this run shows as drift in the next.
      if (there.length < after.actual.length) await this.run(forgetDigestScript());
      return true;
    }
    this.forget();
    // The node took what it printed for the truth; without that digest the next probe sends all, and it shows as drift.
    await this.run(forgetDigestScript());
    if (!isLast && left.every(isLostFilter)) {
      this.cached = Promise.resolve(after);
      return false;
    }
    const shown = left.slice(0, 5).map(describe).join("\n  ");
    throw this.unverified(`the kernel shows ${left.length} difference(s):\n  ${shown}`);
  }

  private planned(snapshot: Snapshot, changes: readonly Change[]): { batch: Batch; desired: Owned[] } | NodeError {
    const claims = withChanges(snapshot.claims, changes);
    const moved = changes.flatMap((change) => change.moved ?? []);
    try {
      const planned = batchFor(snapshot, claims, moved);
      // The last claim takes all along: nobody is left who would claim it again.
      if (claims.length === 0) return planned;
      const actual = withoutOrphans(snapshot.actual, this.orphans, planned.desired);
      return actual.length === snapshot.actual.length ? planned : batchFor({ ...snapshot, actual }, claims, moved);
    } catch (cause) {
      return new NodeError(this.name, "rejected", (cause as Error).message, { cause });
    }
  }

  private async send(batch: Batch): Promise<{ stale: true } | { stale: false; snapshot: Snapshot }> {
    let stdout: string;
    try {
      stdout = await this.run(applyScript(batch), { timeoutMs: APPLY_TIMEOUT_MS });
    } catch (error) {
      this.forget();
      throw error;
    }
    const sections = parseSections(stdout);
    if (sections.has("stale")) return { stale: true };
    if (sections.has("applied")) return { stale: false, snapshot: this.parsed(stdout) };
    this.forget();
    throw failureOf(this.name, batch, sections);
  }
}
