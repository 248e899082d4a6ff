import * as fs from "node:fs";
import type { PulumiProject } from "../test/engine/pulumi";
import { removeLab } from "./demo-lab";
import { type DemoOptions, help, parseOptions } from "./options";
import { leaveScript } from "./quickstart";
import { screenOn } from "./screen";
import { ClaimError, type Report, Story } from "./story";
import { tell } from "./tell";

let project: PulumiProject | undefined;

async function main(argv: readonly string[]): Promise<number> {
  const options = optionsOf(argv);
  if (options === undefined) return 2;
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  const story = new Story(screenOn(process.stdout));
  const write = (report: Report): void => {
    if (options.report !== undefined) fs.writeFileSync(options.report, `${JSON.stringify(report, undefined, 2)}\n`);
  };
  write(story.report("the demo did not come to its end"));
  const interrupted = new Promise<Error>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => resolve(new Error(`interrupted by ${signal}`)));
  });
  const failure = await Promise.race([play(story), interrupted]);
  await cleanUp(options, story);
  const report = story.report(failure?.message);
  write(report);
  const observations = report.steps.flatMap((step) => step.observations);
  if (failure === undefined) {
    process.stdout.write(`\nAll ${observations.length} observations are as claimed (${report.seconds} s).\n`);
    return 0;
  }
  const what = failure instanceof ClaimError ? "THIS IS NOT AS CLAIMED" : "THE DEMO FAILED";
  process.stdout.write(`\n${what} in step ${report.steps.length}:\n${failure.message}\n`);
  return 1;
}

/** The error that ended it; undefined where every claim held. */
async function play(story: Story): Promise<Error | undefined> {
  try {
    await tell(story, (made) => {
      project = made;
    });
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

async function cleanUp({ keep }: DemoOptions, { screen }: Story): Promise<void> {
  if (!keep) {
    await removeLab();
    project?.remove();
    return;
  }
  screen.note("");
  screen.note("The lab stays (--keep). Look around with");
  screen.note("  npm run lab -- exec --name demo client-1 -- iptables-save");
  if (project !== undefined) screen.note(`  ${leaveScript(project)} up      # or any other pulumi command`);
  screen.note("and remove it with");
  screen.note(`  npm run lab -- down --name demo${project === undefined ? "" : ` && rm -r ${project.folder}`}`);
}

function optionsOf(argv: readonly string[]): DemoOptions | undefined {
  try {
    return parseOptions(argv);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\nSee npm run demo -- --help.\n`);
    return undefined;
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`demo: ${error.message}\n`);
    process.exit(1);
  },
);
