import { readFileSync } from "node:fs";

/** Share of the time, 0 to 1, in which cores were busy. */
export interface Busy {
  readonly all: number;
  /** The busiest core: where it is full, one flow can't go faster although other cores idle. */
  readonly most: number;
}

interface Ticks {
  readonly busy: number;
  readonly total: number;
}

/** Begins to watch the cores; the function that it gives tells how busy they were since. */
export function watchCores(): () => Busy {
  const before = cores();
  return () => {
    const shares = cores().map(({ busy, total }, i) => {
      const past = before[i] ?? { busy: 0, total: 0 };
      return (busy - past.busy) / Math.max(1, total - past.total);
    });
    return { all: shares.reduce((sum, share) => sum + share, 0) / shares.length, most: Math.max(...shares) };
  };
}

function cores(): Ticks[] {
  return readFileSync("/proc/stat", "utf8")
    .split("\n")
    .filter((line) => /^cpu\d/.test(line))
    .map((line) => {
      const [, ...ticks] = line.split(/\s+/).map(Number);
      // user nice system idle iowait irq softirq steal; guest time is counted in user already
      const total = ticks.slice(0, 8).reduce((sum, value) => sum + value, 0);
      return { total, busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0) };
    });
}
