import { readFileSync } from "node:fs";
import * as path from "node:path";
import { KINDS } from "../../../provider/kernel/state";

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

test("DESIGN.md says of every kind of kernel object how a node knows it as ours, and of no other", () => {
  const kinds = rows.flatMap(([names = ""]) => names.split(", "));
  // What is not in the kernel, and so has no kind.
  expect([...kinds].sort()).toEqual([...Object.keys(KINDS), "files"].sort());
});

test("no cell of that table is empty", () => {
  expect(rows.filter((cells) => cells.length !== 3 || cells.includes(""))).toEqual([]);
});
