import { setTimeout as sleep } from "node:timers/promises";
import { inConvoy } from "../../../provider/runtime/convoy";

/** Steps that say when they begin and end. */
function steps(name: string, count: number, log: string[], failsAt?: number): (() => Promise<void>)[] {
  return Array.from({ length: count }, (_, step) => async () => {
    log.push(`${name}${step} begins`);
    await sleep(5);
    if (step === failsAt) throw new Error(`${name}${step}`);
    log.push(`${name}${step} ends`);
  });
}

test("those that come together take each step together", async () => {
  const log: string[] = [];
  await Promise.all([inConvoy(steps("a", 2, log)), inConvoy(steps("b", 2, log))]);
  const [first, second] = ["0", "1"].map((step) => [
    `a${step} begins`,
    `b${step} begins`,
    `a${step} ends`,
    `b${step} ends`,
  ]);
  expect(log).toEqual([...(first ?? []), ...(second ?? [])]);
});

test("what comes meanwhile waits until the convoy has arrived", async () => {
  const log: string[] = [];
  let late: Promise<void> | undefined;
  const slow = async (): Promise<void> => {
    late = inConvoy(steps("b", 1, log));
    await sleep(100);
    log.push("a ends");
  };
  await inConvoy([slow, async () => void log.push("a again")]);
  await late;
  expect(log).toEqual(["a ends", "a again", "b0 begins", "b0 ends"]);
});

test("one that fails takes no further step, and the others go on", async () => {
  const log: string[] = [];
  const results = await Promise.allSettled([inConvoy(steps("a", 2, log, 0)), inConvoy(steps("b", 2, log))]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  expect(log.filter((line) => line.startsWith("a"))).toEqual(["a0 begins"]);
  expect(log.at(-1)).toBe("b1 ends");
});

test("nothing to do is done", async () => {
  await expect(inConvoy([])).resolves.toBeUndefined();
});

/** As the engine: so many at once, and the next begins when one has ended. */
test("few at a time still travel in full convoys", async () => {
  const sizes: number[] = [];
  let together = 0;
  const step = async (): Promise<void> => {
    together++;
    await sleep(20);
    if (together > 0) sizes.push(together);
    together = 0; // only the first of a convoy to end counts it
  };
  const lane = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) {
      await inConvoy([step]);
      await sleep(10 * Math.random());
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(40);
  expect(sizes.length).toBeLessThan(10);
});
