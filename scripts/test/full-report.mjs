import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { join } from "node:path";
import { root } from "../setup/places.mjs";

const FILE = join(root, "test/FULL.md");

/** Keeps what a part of the long matrix came to in test/FULL.md: when, on what, how long, and each file. Other parts there stay as they are. */
export function keepFullReport(part, order, results, line, took) {
  const there = existsSync(FILE) ? readFileSync(FILE, "utf8") : "";
  writeFileSync(FILE, withPart(there, order, part, sectionOf(results, line, took)));
}

function sectionOf(results, line, took) {
  const suites = results.flatMap(({ suites = [] }) => suites).sort((a, b) => (a.file < b.file ? -1 : 1));
  const rows = suites.map(({ file, passed, failed, seconds }) => `| ${file} | ${passed} | ${failed} | ${seconds} |`);
  const [kernel] = /^\d+(\.\d+)*/.exec(release()) ?? ["?"];
  const machine = `${availableParallelism()} cores, Linux ${kernel}, Node ${process.versions.node}`;
  const { stdout } = spawnSync("git", ["-C", root, "rev-parse", "--short", "HEAD"], { encoding: "utf8" });
  const commit = stdout?.trim() ? `commit ${stdout.trim()}, ` : "";
  return [
    `${new Date().toISOString().slice(0, 10)}, ${commit}${machine}, ${took}: **${line}**.`,
    ["| file | passed | failed | seconds |", "| --- | ---: | ---: | ---: |", ...rows].join("\n"),
  ].join("\n\n");
}

/** The text of test/FULL.md with this section for a part, in the order of the parts. */
export function withPart(text, order, part, section) {
  const [, ...sections] = text.split(/^## /m);
  const known = new Map(sections.map((one) => [one.slice(0, one.indexOf("\n")), one.slice(one.indexOf("\n")).trim()]));
  known.set(part, section);
  const parts = order.flatMap((name) => (known.has(name) ? [`## ${name}\n\n${known.get(name)}`] : []));
  const head =
    "# The long matrix\n\n`npm run test:full` writes this: each of its parts as it was when that last ran whole.";
  return `${[head, ...parts].join("\n\n")}\n`;
}
