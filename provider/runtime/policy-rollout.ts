import { firstMeeting, rangesOf } from "../model/ranges";
import { isAwaited, mayLetGo } from "./letting-go";
import { claimOf, type PolicyChange, type PolicyState } from "./policy-state";
import { LETTING_GO, letsGo, namesOf, replacing, selectsNoMore } from "./policy-waves";
import { noted } from "./quiet";
import { type Gate, rollOut, type Wave } from "./rollout";
import { memory } from "./run-memory";
import { straysOf } from "./strays";

/**
 * Brings a policy to all its nodes. What lets go waits for all that others of this run take. Where these others need the
 * engine's slot, it only takes what it selects, and who waits last lets go for it.
 * @param undo What is done where it could not come to its nodes; not where it could not let go for another one.
 * @throws Error what nodes say, also of a policy for which this one lets go.
 */
export async function bring(change: PolicyChange, undo = async () => {}): Promise<void> {
  const { ownerId } = change.state;
  memory.toCome.delete(ownerId);
  const led = (isDue: (wave: number) => boolean): Promise<void> =>
    lead(change, isDue).catch(async (error: unknown) => {
      await undo();
      throw error;
    });
  const isWaiting = letsGo(wavesOf(change)) || (memory.owed.size > 0 && !isAwaited());
  if (isWaiting && !(await mayLetGo())) {
    await led((wave) => wave < LETTING_GO);
    memory.owed.set(ownerId, change);
    return;
  }
  const owed = [...memory.owed.values()];
  memory.owed.clear();
  const results = await Promise.allSettled([
    led(() => true),
    ...owed.map((other) => lead(other, (wave) => wave >= LETTING_GO)),
  ]);
  const failed = results.flatMap((one) => (one.status === "rejected" ? [one.reason as Error] : []));
  if (failed.length > 0) throw new Error(failed.map(({ message }) => message).join("\n"), { cause: failed[0] });
}

const lead = (change: PolicyChange, isDue: (wave: number) => boolean): Promise<void> =>
  noted(() =>
    rollOut(
      wavesOf(change).map((wave, index) => (isDue(index) ? wave : [])),
      gateOf(change.before, change.state),
    ),
  );

const wavesOf = ({ before, state }: PolicyChange): Wave[] =>
  replacing(before, state, straysOf(state.ownerId, namesOf(state.gateway)));

/** Where a policy could not take what it is to select, none lets go of any of that: nobody would select it. */
export function gateOf(before: PolicyState | undefined, state: PolicyState): Gate {
  const { name } = state.label;
  const mine = `policy ${name}`;
  const claim = claimOf(state);
  const isMore = before === undefined || !selectsNoMore(claim, claimOf(before));
  return {
    enter: (wave) => {
      if (wave < LETTING_GO || before === undefined) return;
      const held = rangesOf(claimOf(before).sources);
      const others = [...memory.notTaken].filter(
        ([other, sources]) => other !== mine && firstMeeting(held, rangesOf(sources)),
      );
      if (others.length === 0) return;
      throw new Error(
        `policy ${name}: keeps what it has, since ${others.map(([other]) => other).join(", ")} failed in this run and may have been to take that. Run pulumi up again.`,
      );
    },
    failed: (wave) => {
      if (wave < LETTING_GO && isMore) memory.notTaken.set(mine, claim.sources);
    },
  };
}
