import { setTimeout as sleep } from "node:timers/promises";
import { noted, untilQuiet } from "../../../provider/runtime/quiet";

test("whoever waits for quiet goes on with all others that wait, after all calls and a pause", async () => {
  const began = Date.now();
  let ended = 0;
  const call = (ms: number) =>
    noted(async () => {
      await sleep(ms);
      ended = Date.now();
    });
  const first = untilQuiet().then(() => Date.now());
  await Promise.all([call(50), sleep(100).then(() => call(100))]);
  const second = untilQuiet().then(() => Date.now());
  const [one, two] = await Promise.all([first, second]);
  expect(Math.abs(one - two)).toBeLessThan(20);
  expect(one - ended).toBeGreaterThanOrEqual(240);
  expect(one - began).toBeGreaterThanOrEqual(440);
});
