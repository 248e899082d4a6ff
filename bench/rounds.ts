import { setTimeout as sleep } from "node:timers/promises";

/** A measurement that is repeated for each path; undefined where it was lost. */
export type Rounds<Name extends string, T> = Readonly<Record<Name, (T | undefined)[]>>;

export interface RoundOptions {
  readonly count: number;
  readonly onRound: (round: number) => void;
  readonly onLost: (what: string) => void;
}

/** A B C, B C A, C A B …: what the machine does meanwhile hits all alike, and none is always behind the same one. Each measurement has two tries. */
export async function inRounds<Name extends string, T>(
  names: readonly Name[],
  measure: (name: Name) => Promise<T>,
  { count, onRound, onLost }: RoundOptions,
): Promise<Rounds<Name, T>> {
  const rounds = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, (T | undefined)[]>;
  for (let round = 1; round <= count; round++) {
    onRound(round);
    for (const name of turned(names, round - 1)) {
      const lost = (error: Error): undefined => onLost(`round ${round}, ${name}: ${error.message}`) as undefined;
      rounds[name].push(
        await measure(name).catch(() =>
          sleep(1000)
            .then(() => measure(name))
            .catch(lost),
        ),
      );
    }
  }
  return rounds;
}

const turned = <T>(list: readonly T[], by: number): T[] => [
  ...list.slice(by % list.length),
  ...list.slice(0, by % list.length),
];
