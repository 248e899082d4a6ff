import type { Change } from "./batch";
import { inConvoy } from "./convoy";
import type { NodeSession } from "./session";

/** One step of a rollout: changes that may happen at the same time, all of which must be done before the next wave begins. */
export type Wave = readonly { readonly session: NodeSession; readonly change: Change }[];

/** What is asked before a wave that changes something begins, and told when one has failed. */
export interface Gate {
  /** @throws Error where the wave must not begin. */
  readonly enter: (wave: number) => void;
  readonly failed: (wave: number) => void;
}

/**
 * Runs waves in order, together with the rollouts that come at the same time. Where nodes of a wave fail, the others of
 * the same wave are still brought to their end, the waves after it are not begun, and one error says which nodes are where.
 */
export async function rollOut(waves: readonly Wave[], gate?: Gate): Promise<void> {
  const done: string[] = [];
  const step = async (index: number): Promise<void> => {
    if ((waves[index]?.length ?? 0) === 0) return;
    gate?.enter(index);
    await runWave(waves, index, done).catch((error: unknown) => {
      gate?.failed(index);
      throw error;
    });
  };
  await inConvoy(waves.map((_, index) => () => step(index)));
}

/** Adds the nodes that it brought to their end to `done`. */
async function runWave(waves: readonly Wave[], index: number, done: string[]): Promise<void> {
  const wave = waves[index] ?? [];
  const results = await Promise.allSettled(wave.map(({ session, change }) => session.apply(change)));
  const failed = results.flatMap((result, i) =>
    result.status === "rejected" ? [{ node: wave[i]?.session.name ?? "", reason: result.reason as Error }] : [],
  );
  done.push(...wave.map(({ session }) => session.name).filter((name) => !failed.some(({ node }) => node === name)));
  if (failed.length === 0) return;
  const waiting = waves.slice(index + 1).flatMap((later) => later.map(({ session }) => session.name));
  const state = [
    done.length > 0 ? `Done: ${[...new Set(done)].sort().join(", ")}.` : "",
    waiting.length > 0 ? `Not begun: ${[...new Set(waiting)].sort().join(", ")}.` : "",
  ].filter((text) => text !== "");
  throw new Error([...failed.map(({ reason }) => reason.message), ...state].join("\n"), { cause: failed[0]?.reason });
}
