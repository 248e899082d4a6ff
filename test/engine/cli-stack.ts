import * as fs from "node:fs";
import * as path from "node:path";
import type { Lab } from "../lab";
import type { AnyStack, Declared, Planned, UpOptions } from "../operator/stack";
import { installLink, root } from "./install";
import { plannedIn, saidIn } from "./preview";
import { PulumiProject } from "./pulumi";

type Properties = Readonly<Record<string, unknown>>;

interface Resource {
  readonly urn: string;
  readonly id?: string;
  readonly outputs?: Properties;
}

const TYPES = { "node-mark": "NodeMark", "egress-gateway": "EgressGateway", "egress-policy": "EgressPolicy" } as const;
const CHANGES: Readonly<Record<string, Planned["change"]>> = {
  create: "create",
  update: "update",
  delete: "delete",
  replace: "replace",
  same: "same",
};

const PROGRAM = `
const { declareText } = require("${root}/dist/test/engine/declare");
declareText(require("node:fs").readFileSync(__dirname + "/program.json", "utf8"));
`;

/** A stack of the scenarios as the real CLI runs it, from the lab's operator: each `up`, `preview` and `destroy` is one command. */
export class CliStack implements AnyStack {
  private readonly project: PulumiProject;
  private isMade = false;
  /** Since the last `up`: a plain `destroy` reads what was said before. */
  private isConfiguredAnew = false;
  private readonly said: string[] = [];

  constructor(lab: Lab) {
    this.project = new PulumiProject(lab);
    installLink(this.project.folder);
    this.project.write({
      "Pulumi.yaml": "name: test\nmain: index.js\nruntime: { name: nodejs, options: { typescript: false } }\n",
      "package.json": '{ "name": "test" }',
      "index.js": PROGRAM,
    });
  }

  async up(
    program: readonly Declared[],
    { target = [], parallel, replace = [], refresh }: UpOptions = {},
  ): Promise<void> {
    await this.write(program);
    const each = (flag: string, names: readonly string[]) =>
      program.filter(({ name }) => names.includes(name)).flatMap((one) => [flag, urnOf(one)]);
    const limit = parallel === undefined ? [] : ["--parallel", `${parallel}`];
    await this.command(
      "up",
      "--yes",
      "--skip-preview",
      ...limit,
      ...(refresh ? ["--refresh"] : []),
      ...each("--target", target),
      ...each("--replace", replace),
    );
    this.isConfiguredAnew = false;
  }

  async preview(program: readonly Declared[]): Promise<Planned[]> {
    await this.write(program);
    const json = await this.command("preview", "--json", "--show-sames");
    this.said.push(...saidIn(json));
    const planned = plannedIn(json);
    return planned.flatMap(({ name, op, drift }) => (CHANGES[op] ? [{ name, change: CHANGES[op], drift }] : []));
  }

  async notes(): Promise<string[]> {
    return this.said.splice(0);
  }

  async destroy(): Promise<void> {
    await this.command("destroy", "--yes", "--skip-preview", ...(this.isConfiguredAnew ? ["--run-program"] : []));
  }

  async configure(key: string, value?: string): Promise<void> {
    await this.make();
    await this.project.ok("config", ...(value === undefined ? ["rm", key] : ["set", key, value]));
    this.isConfiguredAnew = true;
  }

  outputs(name: string): Record<string, unknown> {
    const { outputs } = this.resource(name) ?? {};
    if (!outputs) throw new Error(`the stack has no ${name}`);
    return { ...outputs };
  }

  id(name: string): string | undefined {
    return this.resource(name)?.id;
  }

  async unrecorded(act: () => Promise<void>): Promise<void> {
    const kept = `${this.project.state}.kept`;
    fs.cpSync(this.project.state, kept, { recursive: true });
    await act();
    fs.rmSync(this.project.state, { recursive: true });
    fs.renameSync(kept, this.project.state);
  }

  /** Removes the folder with the project and its state. */
  remove(): void {
    this.project.remove();
  }

  private async make(): Promise<void> {
    if (!this.isMade) await this.project.ok("stack", "init", "dev");
    this.isMade = true;
  }

  private async write(program: readonly Declared[]): Promise<void> {
    await this.make();
    const names = new Set(program.map(({ name }) => name));
    // What is only in the state is known, as from a stack reference.
    const outputs = (name: string) => (names.has(name) ? references(name) : this.outputs(name));
    const text = program.map((one) => ({ type: one.type, name: one.name, inputs: one.inputs(outputs) }));
    this.project.write({ "program.json": JSON.stringify(text) });
  }

  /** @throws Error with what the resources' checks refused, a line each; or else with all that the CLI printed. */
  private async command(...args: string[]): Promise<string> {
    const { command, code, stdout, stderr } = await this.project.run(args);
    if (code === 0) return stdout;
    const text = args.includes("--json") ? diagnosticsIn(stdout) : `${stdout}\n${stderr}`;
    const refused = [...text.matchAll(/resource '(\S+)': property (\S+) value [\s\S]*? has a problem: (.*)/g)].map(
      ([, name, property, reason]) => `${name}: ${property}: ${reason}`,
    );
    throw new Error(
      refused.length > 0 ? [...new Set(refused)].join("\n") : `${command} ended with exit code ${code}:\n${text}`,
    );
  }

  /** From the checkpoint that the last command left. */
  private resource(name: string): Resource | undefined {
    const file = path.join(this.project.state, ".pulumi/stacks/test/dev.json");
    const { checkpoint } = JSON.parse(fs.readFileSync(file, "utf8")) as {
      checkpoint: { latest?: { resources?: Resource[] } };
    };
    return checkpoint.latest?.resources?.find(({ urn }) => urn.endsWith(`::${name}`));
  }
}

function diagnosticsIn(json: string): string {
  const { diagnostics = [] } = JSON.parse(json) as { diagnostics?: { message: string }[] };
  return diagnostics.map(({ message }) => message).join("\n");
}

const urnOf = ({ type, name }: Declared): string =>
  `urn:pulumi:dev::test::pulumi-nodejs:dynamic/egress:${TYPES[type]}::${name}`;

/** Stands for the outputs of a resource that is yet to be made; `declareText` puts the real ones in their place. */
function references(resource: string): Record<string, unknown> {
  return new Proxy({}, { get: (_, property) => ({ $output: [resource, property] }) });
}
