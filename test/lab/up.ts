import { isDeepStrictEqual } from "node:util";
import { agentReady } from "./agent";
import { saveBase } from "./base";
import { writeBootFiles } from "./boot-files";
import { labDown, namespacesOf } from "./down";
import { claimDirectory, labDirectory, loadLab, saveLab } from "./lab-directory";
import { completeOptions, type LabOptions } from "./options";
import { requirements } from "./requirements";
import { runOk } from "./run";
import { type Lab, topologyOf } from "./topology";

/** Builds a lab; the very same lab that stands already is given back, another of its name is refused. */
export async function labUp(given: Partial<LabOptions> = {}): Promise<Lab> {
  const options = completeOptions(given);
  const missing = requirements();
  if (missing.length > 0) throw new Error(missing.join("\n"));
  if (!claimDirectory(options.name)) return standing(options);
  try {
    if (namespacesOf(options.name).length > 0) {
      throw new Error(
        `namespaces of a lab "${options.name}" are left over; remove them with: lab down --name ${options.name}`,
      );
    }
    return await build(options);
  } catch (error) {
    await labDown(options.name);
    throw error;
  }
}

function standing(options: LabOptions): Lab {
  const lab = loadLab(options.name);
  if (lab?.state === "up" && isDeepStrictEqual(lab.options, options)) return lab;
  const why = lab?.state === "up" ? `with other options: ${JSON.stringify(lab.options)}` : "and is not complete";
  throw new Error(`lab "${options.name}" exists ${why}; remove it with: lab down --name ${options.name}`);
}

async function build(options: LabOptions): Promise<Lab> {
  const booting = topologyOf(options, labDirectory(options.name));
  saveLab(booting);
  await runOk(["sh", writeBootFiles(booting)]);
  await Promise.all([...booting.pods, ...booting.outside].map((host) => agentReady(booting, host.name)));
  const lab: Lab = { ...booting, state: "up" };
  await saveBase(lab);
  saveLab(lab);
  return lab;
}

/** The lab of this name. */
export function labStatus(name = "lab"): Lab {
  const lab = loadLab(name);
  if (lab === undefined) throw new Error(`there is no lab "${name}"; make it with: lab up --name ${name}`);
  return lab;
}
