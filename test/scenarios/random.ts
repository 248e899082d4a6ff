/** Numbers that a seed repeats: set EGW_SEED to the one that a failure names. */
export class Random {
  readonly seed: number;
  private state: number;

  constructor(seed = Number(process.env.EGW_SEED ?? Date.now() % 1_000_000)) {
    this.seed = seed;
    this.state = seed;
  }

  /** A whole number from 0 to `below` - 1 (mulberry32). */
  next(below: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  }

  pick<T>(from: readonly T[]): T {
    const one = from[this.next(from.length)];
    if (one === undefined) throw new Error("nothing to pick from");
    return one;
  }
}
