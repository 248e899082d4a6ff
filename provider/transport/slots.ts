/** At most `limit` tasks at once, the rest in the order of their coming. */
export interface Slots {
  use<T>(task: () => Promise<T>): Promise<T>;
  /** Lowers the limit for good, when the server turns out to allow less. */
  shrink(limit: number): void;
}

export function createSlots(limit: number): Slots {
  const waiting: (() => void)[] = [];
  let allowed = limit;
  let taken = 0;
  const admit = (): void => {
    while (taken < allowed) {
      const next = waiting.shift();
      if (next === undefined) return;
      taken++;
      next();
    }
  };
  return {
    async use(task) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        admit();
      });
      try {
        return await task();
      } finally {
        taken--;
        admit();
      }
    },
    shrink(to) {
      allowed = Math.max(1, Math.min(allowed, to));
    },
  };
}
