import { setTimeout as sleep } from "node:timers/promises";
import type { NamedPolicy } from "../../../provider/model/overlap";
import { isAwaited, mayLetGo } from "../../../provider/runtime/letting-go";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";

beforeEach(forgetRun);
const checked = (...names: string[]) => {
  for (const name of names) memory.policies.set(name, {} as NamedPolicy);
};
/** Since when `mayLetGo` was asked, in tenths of a second. */
const asked = async (): Promise<string> => {
  const began = Date.now();
  const isTrue = await mayLetGo();
  return `${isTrue} after ${Math.round((Date.now() - began) / 100)}`;
};

test("all let go together when the engine has come to all", async () => {
  memory.declared.set("policy", 2);
  checked("a", "b");
  expect(await Promise.all([asked(), asked()])).toEqual(["true after 3", "true after 3"]);
  expect(isAwaited()).toBe(false);
});

test("where some are to come yet, all but one leave the engine's slots to them, and that one waits", async () => {
  memory.declared.set("policy", 3);
  checked("a", "b");
  const both = Promise.all([asked(), asked()]);
  await sleep(400);
  expect(isAwaited()).toBe(true);
  checked("c");
  expect((await both).map((text) => text.slice(0, 5))).toEqual(["false", "true "]);
});

test("the only one leaves its slot to one that is known to come", async () => {
  checked("a", "b");
  memory.toCome.add("b");
  expect(await asked()).toBe("false after 5");
});

test("those that never come are waited for five seconds", async () => {
  memory.declared.set("policy", 2);
  checked("a");
  expect(await asked()).toMatch(/^true after 5\d$/);
}, 10_000);
