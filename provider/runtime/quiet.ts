/** The engine takes less from one call to the next, as long as it has more to call. */
const QUIET_MS = 250;
const MOST_MS = 600_000;

let underWay = 0;
let last = 0;
let quiet: Promise<void> | undefined;

/** Notes a call of the engine, from its beginning to its end. */
export async function noted<T>(call: () => Promise<T>): Promise<T> {
  underWay++;
  try {
    return await call();
  } finally {
    underWay--;
    last = Date.now();
  }
}

/**
 * Waits until the engine has nothing more to say for the moment; all who wait go on together. So a policy lets go of what
 * it no longer selects when all others have taken what they select, also those that the engine comes to only after it.
 */
export function untilQuiet(): Promise<void> {
  last = Date.now();
  quiet ??= comesQuiet().finally(() => {
    quiet = undefined;
  });
  return quiet;
}

async function comesQuiet(): Promise<void> {
  const end = Date.now() + MOST_MS;
  while (underWay > 0 || Date.now() - last < QUIET_MS) {
    if (Date.now() > end)
      throw new Error("other resources of this run have been under way for ten minutes. Run pulumi up again.");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
