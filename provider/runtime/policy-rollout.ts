import type { PolicyClaim } from "../model/claim";
import { firstMeeting, rangesOf } from "../model/ranges";
import { InPart, inPart, isDone } from "./in-part";
import { isAwaited, mayLetGo } from "./letting-go";
import { lookAll } from "./look";
import { claimOf, type PolicyChange, type PolicyState, selectionsOf } from "./policy-state";
import { LETTING_GO, letsGo, namesOf, replacing, sessionsOf, shrinking, takesMore } from "./policy-waves";
import { noted } from "./quiet";
import { type Gate, rollOut, type Wave } from "./rollout";
import { memory } from "./run-memory";
import { straysOf } from "./strays";

/**
 * Brings a policy to all its nodes. What lets go waits for all that others of this run take. Where these others need the
 * engine's slot, it only takes what it selects, and who has waited to the end lets go for it. One that is new goes again
 * where it could not come.
 * @throws Error what nodes say; InPart where this one is there, and another one could not let go.
 */
export async function bring(state: PolicyState, recorded: PolicyState | undefined): Promise<void> {
  memory.toCome.delete(state.label.name);
  const change = await noted(() => changeOf(state, recorded));
  const isWaiting = letsGo(wavesOf(change)) || (memory.owed.size > 0 && !isAwaited());
  if (!isWaiting) return lead(change, () => true);
  if (!(await mayLetGo())) {
    // From now on, so that nobody who comes meanwhile overlooks it.
    memory.owed.set(state.ownerId, change);
    return lead(change, (wave) => wave < LETTING_GO).catch((error: unknown) => {
      memory.owed.delete(state.ownerId);
      throw error;
    });
  }
  const owed = [...memory.owed.values()];
  memory.owed.clear();
  const failed = new Map<string, string[]>();
  const payments = owed.map((other) =>
    lead(other, (wave) => wave >= LETTING_GO).catch(({ message }: Error) => {
      failed.set(message, [...(failed.get(message) ?? []), other.state.label.name]);
    }),
  );
  const own = await lead(change, () => true).catch((error: Error) => error);
  await Promise.all(payments);
  const rest = [...failed].map(([text, names]) => `${names.join(", ")} could not let go of what they had: ${text}`);
  if (own) throw own instanceof InPart || rest.length === 0 ? own : new Error([own.message, ...rest].join("\n"));
  if (rest.length > 0) throw new InPart(rest.join("\n"));
}

/**
 * Takes a policy off its nodes, but for those on which it `stays`.
 * @throws Error what nodes say, or that another policy failed to take what this one has.
 */
export async function takeAway(state: PolicyState, stays: ReadonlySet<string> | undefined): Promise<void> {
  const change = await noted(() => changeOf(state, state));
  gateOf(change).enter(LETTING_GO);
  if (!stays) memory.deleted.add(state.ownerId);
  await noted(() => rollOut(shrinking(state, stays, straysOf(state.ownerId, namesOf(state.gateway)))));
}

/** With what nodes have of it, but for those that can't be read. */
async function changeOf(state: PolicyState, recorded: PolicyState | undefined): Promise<PolicyChange> {
  const gateways = [state.gateway, ...(recorded ? [recorded.gateway] : [])];
  const looked = [...(await lookAll(gateways.flatMap(sessionsOf)))].map(([name, { snapshot }]) => ({ name, snapshot }));
  const strays = straysOf(state.ownerId, namesOf(...gateways)).map(({ name, seen }) => ({ name, snapshot: seen }));
  const found = [...looked, ...strays].flatMap(({ name, snapshot }) =>
    (snapshot?.claims ?? [])
      .filter((claim): claim is PolicyClaim => claim.kind === "policy" && claim.owner.id === state.ownerId)
      .map((claim) => [name, claim] as const),
  );
  return { state, recorded, found: new Map(found) };
}

async function lead(change: PolicyChange, isDue: (wave: number) => boolean): Promise<void> {
  const { state, recorded, found } = change;
  try {
    const waves = wavesOf(change).map((wave, index) => (isDue(index) ? wave : []));
    await noted(() => rollOut(waves, gateOf(change)));
  } catch (error) {
    if (recorded !== undefined) throw error;
    // What an earlier run left is at work: it is not taken down because it could not be renewed.
    const isGone = found.size === 0 && (await isDone(noted(() => rollOut(shrinking(state)))));
    throw isGone ? error : inPart(error);
  }
}

const wavesOf = (change: PolicyChange): Wave[] =>
  replacing(change, straysOf(change.state.ownerId, namesOf(change.state.gateway)));

/** Where a policy could not take what it is to select, none lets go of any of that: nobody would select it. */
export function gateOf(change: PolicyChange): Gate {
  const { state, recorded, found } = change;
  const mine = `policy ${state.label.name}`;
  const had = [...(recorded ? [claimOf(recorded)] : []), ...found.values()];
  return {
    enter: (wave) => {
      if (wave < LETTING_GO) return;
      const held = rangesOf(had.flatMap(selectionsOf).flatMap(({ sources }) => sources));
      const others = [...memory.notTaken].filter(
        ([other, sources]) => other !== mine && firstMeeting(held, rangesOf(sources)),
      );
      if (others.length === 0) return;
      throw new Error(
        `${mine}: keeps what it has, since ${others.map(([other]) => other).join(", ")} failed in this run and may have been to take that. Run pulumi up again; a node that is gone for good is written off in egress:abandon.`,
      );
    },
    failed: (wave) => {
      if (wave < LETTING_GO && takesMore(change)) memory.notTaken.set(mine, claimOf(state).sources);
    },
  };
}
