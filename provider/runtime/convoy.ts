/** Nobody has come for so long: the convoy goes, unless it expects more. */
const GATHER_MS = 20;
/** So long it waits for those that it expects. */
const PATIENCE_MS = 250;

interface Traveller {
  readonly steps: readonly (() => Promise<void>)[];
  readonly arrived: () => void;
  readonly failed: (error: unknown) => void;
}

let waiting: Traveller[] = [];
let isUnderWay = false;
/** How many were there when the last convoy arrived, in it and waiting: as many as the engine runs at once. */
let expected = 0;

/**
 * Runs steps one after the other, side by side with those of all others that came at about the same time: each convoy
 * takes its first steps together, then its second ones. What comes meanwhile waits for the next convoy. The engine starts
 * operations few at a time; so their changes of one node go out as one batch, not as one each.
 */
export function inConvoy(steps: Traveller["steps"]): Promise<void> {
  return new Promise((arrived, failed) => {
    waiting.push({ steps, arrived, failed });
    void drive();
  });
}

async function drive(): Promise<void> {
  if (isUnderWay) return;
  isUnderWay = true;
  while (waiting.length > 0) {
    await gather();
    const convoy = waiting;
    waiting = [];
    await travel(convoy);
    expected = convoy.length + waiting.length;
  }
  isUnderWay = false;
}

async function gather(): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (let known = 0; known < waiting.length || (waiting.length < expected && Date.now() < end); ) {
    known = waiting.length;
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
  }
}

/** Who has arrived or failed leaves at once; the others go on. */
async function travel(convoy: readonly Traveller[]): Promise<void> {
  let going = convoy;
  for (let step = 0; going.length > 0; step++) {
    const still = await Promise.all(
      going.map(async (traveller) => ((await isDoneAfter(traveller, step)) ? [] : [traveller])),
    );
    going = still.flat();
  }
}

async function isDoneAfter({ steps, arrived, failed }: Traveller, step: number): Promise<boolean> {
  try {
    await steps[step]?.();
  } catch (error) {
    failed(error);
    return true;
  }
  if (step + 1 < steps.length) return false;
  arrived();
  return true;
}
