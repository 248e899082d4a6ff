import { setTimeout as sleep } from "node:timers/promises";
import { createSlots } from "../../../provider/transport/slots";

test("at most so many tasks run at once, all run, in the order of their coming", async () => {
  const slots = createSlots(3);
  const started: number[] = [];
  let running = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      slots.use(async () => {
        started.push(i);
        most = Math.max(most, ++running);
        await sleep(1);
        running--;
      }),
    ),
  );
  expect(most).toBe(3);
  expect(started).toEqual([...Array(10).keys()]);
});

test("a task that fails gives its slot back", async () => {
  const slots = createSlots(1);
  await expect(slots.use(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await slots.use(async () => "yes")).toBe("yes");
});

test("shrinking takes hold for later tasks and never reaches zero", async () => {
  const slots = createSlots(8);
  slots.shrink(0);
  let running = 0;
  let most = 0;
  const task = async (): Promise<void> => {
    most = Math.max(most, ++running);
    await sleep(1);
    running--;
  };
  await Promise.all([slots.use(task), slots.use(task), slots.use(task)]);
  expect(most).toBe(1);
});
