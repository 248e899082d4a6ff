import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";

/** What one jest run came to, from the file that --json --outputFile wrote. A run that wrote none has failed. */
export function readJest(name, file) {
  if (!existsSync(file))
    return { name, tests: 0, passed: 0, failed: 1, skips: [], note: `${name} ended without a result.` };
  const report = JSON.parse(readFileSync(file, "utf8"));
  const tests = report.testResults.flatMap((suite) => suite.assertionResults);
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return {
    name,
    tests: report.numPassedTests + report.numFailedTests,
    passed: report.numPassedTests,
    // Jest may fail as a whole with all tests passed, as for an obsolete snapshot or an error after the end.
    failed: failed === 0 && !report.success ? 1 : failed,
    skips: tests.filter((test) => ["pending", "todo"].includes(test.status)).map((test) => test.fullName),
    suites: report.testResults.map(describeSuite),
  };
}

function describeSuite({ name, startTime, endTime, assertionResults }) {
  const count = (status) => assertionResults.filter((test) => test.status === status).length;
  const seconds = Math.round((endTime - startTime) / 1000);
  return { file: relative(process.cwd(), name ?? ""), passed: count("passed"), failed: count("failed"), seconds };
}

/** Sums the runs: one line, the notes to print before it, and how much failed, whatever is wrong with the runs included. */
export function summarize(results, { elapsed, budget, filtered = false }) {
  const skips = results.flatMap((result) => result.skips);
  const reasons = skips.map((name) => /\[skipped: (.+)\]$/.exec(name)?.[1]);
  const problems = [];
  if (results.every((result) => !result.tests)) problems.push("No test ran.");
  if (!filtered) {
    for (const [index, name] of skips.entries()) {
      if (!reasons[index]) problems.push(`Skipped without a reason: ${name}`);
    }
  }
  if (budget && elapsed > budget) {
    const [took, allowed] = [elapsed, budget].map((time) => `${Math.round(time / 1000)} s`);
    problems.push(`Over budget: this took ${took}, and with nothing to set up it may take ${allowed}.`);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  const failed = sum("failed") + problems.length;
  const notes = results.map(describeRun).concat(countReasons(reasons), problems);
  return { notes, failed, line: `${sum("passed")} passed, ${failed} failed, ${skips.length} skipped` };
}

function describeRun({ name, passed, failed, skips, note }) {
  return `${name}: ${passed} passed, ${failed} failed, ${skips.length} skipped${note ? ` (${note})` : ""}`;
}

function countReasons(reasons) {
  const counts = new Map();
  for (const reason of reasons.filter(Boolean)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => `${count} skipped: ${reason}`);
}
