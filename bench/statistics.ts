/** What repeated measurements say: the median, and where it lies with 95 % confidence (absent where there are too few). */
export interface Summary {
  readonly median: number;
  readonly interval?: readonly [number, number];
  readonly count: number;
}

const RESAMPLES = 10_000;
/** Fewer say nothing about their spread. */
const LEAST = 5;

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** Median with its bootstrap interval: the same values always give the same answer. */
export function summarize(values: readonly number[]): Summary {
  const summary = { median: median(values), count: values.length };
  if (values.length < LEAST) return summary;
  const random = randomFrom(values.length);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  ).sort((a, b) => a - b);
  return { ...summary, interval: [quantile(medians, 0.025), quantile(medians, 0.975)] };
}

/** One value against the other of the same round: what the machine did in that round cancels out. Lost rounds are left out. */
export function pairedRatios(
  over: readonly (number | undefined)[],
  under: readonly (number | undefined)[],
): readonly number[] {
  return over.flatMap((value, round) => {
    const other = under[round];
    return value === undefined || other === undefined || other === 0 ? [] : [value / other];
  });
}

function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (low === undefined || high === undefined) return Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
