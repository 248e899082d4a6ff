import { writeFileSync } from "node:fs";
import { cpu } from "./bpf/cpu";
import { entries } from "./bpf/entries";
import { traffic } from "./bpf/traffic";
import { atEnd, cleanUp, cleanUpOnSignals, pending } from "./cleanup";
import { describeMachine, isBusy, loadNow, type Machine } from "./machine";
import { type BenchOptions, help, type PartName, parseOptions } from "./options";
import { policies } from "./policies/policies";
import { say } from "./progress";
import type { PartResult } from "./result";
import { stateSize } from "./state/state-size";
import { printed } from "./table";
import { throughput } from "./throughput/throughput";
import { claimTurn } from "./turn";

const parts: Readonly<Record<PartName, (isQuick: boolean) => Promise<PartResult>>> = {
  throughput,
  policies,
  state: stateSize,
  traffic,
  cpu,
  entries,
};

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return void process.stdout.write(help);
  if (options.json !== undefined) writeFileSync(options.json, ""); // it would be a pity to learn at the end that it can't be written
  cleanUpOnSignals();
  atEnd(claimTurn());
  const machine = await describeMachine();
  if (isBusy(machine.load)) say(`load ${machine.load} on ${machine.cores} cores: others work here too`);
  const results: Partial<Record<PartName, PartResult>> = {};
  for (const name of options.only) {
    results[name] = await runPart(name, options);
    say(`${name}: done`);
  }
  await cleanUp();
  report(options, machine, results);
}

/** A part that fails does not keep the others from being measured. */
async function runPart(name: PartName, { quick }: BenchOptions): Promise<PartResult> {
  const loadBefore = loadNow();
  const before = pending();
  try {
    const result = await parts[name](quick);
    return { ...result, raw: { loadBefore, loadAfter: loadNow(), ...result.raw } };
  } catch (error) {
    say(`${name}: ${(error as Error).stack}`);
    return {
      title: name,
      rows: [],
      facts: [],
      problems: [`not measured: ${(error as Error).message}`],
      raw: { loadBefore },
    };
  } finally {
    await cleanUp(before);
  }
}

function report(options: BenchOptions, machine: Machine, results: Partial<Record<PartName, PartResult>>): void {
  const list = Object.values(results);
  const notes = [
    ...(options.quick ? ["--quick: a small run; its figures are for a look, not for the record"] : []),
    ...(isBusy(machine.load) ? [`load ${machine.load} before the start: others work here too, ratios are loose`] : []),
  ];
  process.stdout.write(`\n${printed(machine, list, notes)}`);
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ machine, options, notes, results }, undefined, 2)}\n`);
  if (list.some(({ problems }) => problems.length > 0)) process.exitCode = 1;
}

main().catch(async (error: Error) => {
  await cleanUp();
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
