import { build } from "./build.mjs";
import { debianPackages } from "./debian.mjs";
import { kernel } from "./kernel.mjs";
import { withLock } from "./lock.mjs";
import { machine } from "./machine.mjs";
import { machineImages, machinePackages } from "./machines.mjs";
import { node22 } from "./node22.mjs";
import { npmPackages } from "./npm-packages.mjs";
import { clock, showProgress } from "./progress.mjs";
import { pulumiCli } from "./pulumi-cli.mjs";

// In this order: what can refuse the machine comes first. The kernel is asked with the tools that are there, so that
// nothing is installed for one that surely lacks something, and again with those of the Debian packages.
const tools = [machine, kernel, debianPackages, kernel, node22, npmPackages, pulumiCli];
const machines = [machine, debianPackages, machinePackages, machineImages];

/** The steps that each kind of work needs. */
export const steps = {
  all: [...tools, build],
  tools,
  machines,
  full: [...tools, ...machines],
  unit: [node22, npmPackages],
  build: [node22, npmPackages, build],
};

/** A machine that set-up can't make fit, or a step that failed: the message is for the user, without a stack. */
export class SetupError extends Error {}

/** What is missing, one sentence each, without changing anything. */
export function listMissing(wanted) {
  const found = new Set();
  for (const step of wanted) {
    const missing = step.missing();
    for (const what of missing) found.add(what);
    if (step === machine && missing.length > 0) break;
  }
  return [...found];
}

/** Brings what is missing, and says whether anything was. */
export async function bringMissing(wanted) {
  const began = Date.now();
  if (wanted.every((step) => refuse(step).length === 0)) return false;
  await withLock(
    async () => {
      for (const step of wanted) await bringStep(step);
    },
    () => console.error("Set-up: waits for another set-up that is under way."),
  );
  console.error(`Set-up: done in ${clock(began)}.`);
  return true;
}

function refuse(step) {
  const missing = step.missing();
  if (missing.length > 0 && !step.bring) throw new SetupError(missing.join("\n"));
  return missing;
}

async function bringStep(step) {
  const missing = refuse(step);
  if (missing.length === 0) return;
  const shown = showProgress(step.name, missing);
  try {
    await step.bring(shown.progress);
  } catch (error) {
    shown.end("failed");
    throw new SetupError(`${step.name}: ${error.message}`, { cause: error });
  }
  const still = step.missing();
  shown.end(still.length > 0 ? "failed" : "done");
  if (still.length > 0) throw new SetupError(`${step.name}: still missing after set-up: ${still.join(", ")}.`);
}
