import type { NamedPolicy } from "../../../provider/model/overlap";
import { isAwaited, mayLetGo } from "../../../provider/runtime/letting-go";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";

beforeAll(() => jest.useFakeTimers());
beforeEach(forgetRun);
afterAll(() => jest.useRealTimers());

const checked = (...names: string[]) => {
  for (const name of names) memory.policies.set(name, {} as NamedPolicy);
};

/** The answers to so many who ask at once, each with its time in tenths of a second; 0.4 s later `then` happens. */
async function asked(many: number, then: () => void = () => {}): Promise<string[]> {
  const began = Date.now();
  const answers = Array.from({ length: many }, async () => `${await mayLetGo()} after ${tenths(Date.now() - began)}`);
  await jest.advanceTimersByTimeAsync(400);
  then();
  await jest.advanceTimersByTimeAsync(6000);
  expect(isAwaited()).toBe(false);
  return Promise.all(answers);
}

const tenths = (ms: number): number => Math.floor(ms / 100);

test("all let go together when the engine has come to all", async () => {
  memory.declared.set("policy", 2);
  checked("a", "b");
  expect(await asked(2)).toEqual(["true after 2", "true after 2"]);
});

test("where some are to come yet, all but one leave the engine's slots to them, and that one waits", async () => {
  memory.declared.set("policy", 3);
  checked("a", "b");
  const comes = () => {
    expect(isAwaited()).toBe(true);
    checked("c");
  };
  expect(await asked(2, comes)).toEqual(["false after 2", "true after 5"]);
});

test("the only one leaves its slot to one that is known to come", async () => {
  checked("a", "b");
  memory.toCome.add("b");
  expect(await asked(1)).toEqual(["false after 5"]);
});

test("those that never come are waited for five seconds", async () => {
  memory.declared.set("policy", 2);
  checked("a");
  expect(await asked(1)).toEqual(["true after 50"]);
});
