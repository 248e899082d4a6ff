import { parseArgs } from "node:util";
import { bringMissing, listMissing, SetupError, steps } from "./setup/steps.mjs";
import { toolEnv } from "./setup/tool-env.mjs";

const help = `Usage: npm run setup [-- OPTION]

Brings what the demo and the tests need and is not there yet: Debian packages, Node 22, npm packages,
the Pulumi CLI, the compiled sources. Needs root.

  --check        list what is missing and change nothing; exit code 1 if something is
  --only PART    all, tools (all but the build), build, unit (what the unit tests need),
                 machines (kernels and tools of older Debian releases, which only the long matrix runs),
                 full (tools and machines)
  --env          print the environment that makes use of the tools, as JSON
  --help         this text`;

const options = {
  check: { type: "boolean" },
  only: { type: "string", default: "all" },
  env: { type: "boolean" },
  help: { type: "boolean" },
};

async function main() {
  const { values } = parseArgs({ options });
  const wanted = steps[values.only];
  if (values.help) return console.log(help);
  if (!wanted)
    throw new SetupError(`--only: unknown part "${values.only}". It is one of ${Object.keys(steps).join(", ")}.`);
  if (values.env) return console.log(JSON.stringify(toolEnv(), null, 2));
  if (values.check) return report(listMissing(wanted));
  if (!(await bringMissing(wanted))) console.error("Set-up: everything is there.");
}

function report(missing) {
  if (missing.length === 0) return console.log("Nothing is missing.");
  process.exitCode = 1;
  console.log(["Missing:", ...missing.map((what) => `  ${what}`)].join("\n"));
}

main().catch((error) => {
  const ours = error instanceof SetupError || error.code?.startsWith("ERR_PARSE_ARGS");
  console.error(ours ? error.message : error);
  process.exitCode = 1;
});
