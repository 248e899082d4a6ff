import { readFileSync } from "node:fs";
import * as path from "node:path";
import { KINDS } from "../../../provider/kernel/state";
import { FILE, STATE_FILES, UNIT_FILES } from "../../../provider/program/files";

const design = readFileSync(path.join(__dirname, "../../../DESIGN.md"), "utf8");
const [, section = ""] = design.split("## What we own");
/** The cells of the ownership table, head and rule left out. */
const rows = (section.split("\n## ")[0] ?? "")
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .slice(2)
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

test("DESIGN.md says of every kind of object how a node knows it as ours, and of no other", () => {
  const kinds = rows.flatMap(([names = ""]) => names.split(", "));
  expect([...kinds].sort()).toEqual([...Object.keys(KINDS), FILE].sort());
});

test("of files it names each that a probe looks at, and no other", () => {
  const [, list = ""] = /^Files are (.*)$/m.exec(section) ?? [];
  const named = [...list.matchAll(/`([^`]*)`/g)].map(([, name = ""]) => name);
  expect([...named].sort()).toEqual([...STATE_FILES, ...UNIT_FILES].sort());
});

test("no cell of that table is empty", () => {
  expect(rows.filter((cells) => cells.length !== 3 || cells.includes(""))).toEqual([]);
});
