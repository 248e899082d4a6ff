import { readFileSync } from "node:fs";
import * as path from "node:path";

const read = (file: string): string => readFileSync(path.join(__dirname, "../../..", file), "utf8");

test("set-up brings every package that the lab asks for", () => {
  const programs = /const programs[^{]*\{([^}]*)\}/.exec(read("test/lab/requirements.ts"))?.[1] ?? "";
  const asked = [...programs.matchAll(/: "([^"]+)"/g)].map(([, name]) => name);
  const packages = /const packages = \[([^\]]*)\]/.exec(read("scripts/setup/debian.mjs"))?.[1] ?? "";
  const brought = [...packages.matchAll(/"([^"]+)"/g)].map(([, name]) => name);
  expect(asked).toContain("curl");
  expect(asked.filter((name) => !brought.includes(name))).toEqual([]);
});
