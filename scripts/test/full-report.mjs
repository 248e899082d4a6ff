import { writeFileSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { join } from "node:path";
import { root } from "../setup/places.mjs";

/** Keeps what a whole run of the long matrix came to in test/FULL.md: when, on what, how long, and each file. */
export function keepFullReport(results, { line, notes }, took) {
  const named = ({ name, suites = [] }) =>
    suites.map((suite) => (name.endsWith("programs") ? { ...suite, file: `${suite.file}, datapath bpf` } : suite));
  const suites = results.flatMap(named).sort((a, b) => (a.file < b.file ? -1 : 1));
  const rows = suites.map(({ file, passed, failed, seconds }) => `| ${file} | ${passed} | ${failed} | ${seconds} |`);
  const [kernel] = /^\d+(\.\d+)*/.exec(release()) ?? ["?"];
  const machine = `${availableParallelism()} cores, Linux ${kernel}, Node ${process.versions.node}`;
  const text = [
    "# The long matrix, last whole run",
    `\`npm run test:full\` wrote this on ${new Date().toISOString().slice(0, 10)} (${machine}) after ${took}: **${line}**.`,
    notes.map((note) => `- ${note}`).join("\n"),
    ["| file | passed | failed | seconds |", "| --- | ---: | ---: | ---: |", ...rows].join("\n"),
  ];
  writeFileSync(join(root, "test/FULL.md"), `${text.join("\n\n")}\n`);
}
