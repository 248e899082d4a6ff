import * as fs from "node:fs";
import { type Lab, labUp } from "../lab";
import { installLink, root } from "./install";
import { PulumiProject } from "./pulumi";

interface Resource {
  readonly urn: string;
  readonly id?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
}

/** A fresh lab for one file of engine tests, by a name that no other run on this machine has. */
export function engineLab({ gateways = 1 } = {}): Promise<Lab> {
  return labUp({ name: `engine${process.pid}`, clients: 2, gateways });
}

/** A project "engine" whose program is written by the tests. It is linked to this clone, and its SSH key is a secret of each stack. */
export class EngineProject extends PulumiProject {
  constructor(private readonly on: Lab) {
    super(on);
    installLink(this.folder);
    this.write({
      "Pulumi.yaml": "name: engine\nmain: index.js\nruntime: { name: nodejs, options: { typescript: false } }\n",
      "package.json": '{ "name": "engine" }',
    });
  }

  /** Makes a stack; it is then the current one. */
  async addStack(name: string): Promise<void> {
    await this.ok("stack", "init", name);
    await setKey(this, this.on, "egress:KEY");
  }

  /** The program: `body` sees pulumi, the package as egress, the lab, and what declare.ts exports. */
  program(body: string): void {
    const declare = `${root}/dist/test/engine/declare`;
    const head = [
      `const pulumi = require("@pulumi/pulumi");`,
      `const egress = require("pulumi-egress");`,
      `const { declare, fleetOf, gatewayOf, policyOf, storyOf, labStatus } = require("${declare}");`,
      `const lab = labStatus("${this.on.name}");`,
      `const connection = { privateKey: "config:KEY", dialErrorLimit: 1 };`,
    ];
    this.write({ "index.js": [...head, body, ""].join("\n") });
  }

  /** `pulumi preview --json`, which must end with this exit code. */
  async preview(code: number, ...args: string[]): Promise<string> {
    const result = await this.run(["preview", "--json", "--show-sames", ...args]);
    if (result.code === code) return result.stdout;
    throw new Error(`${result.command} ended with ${result.code}, not ${code}:\n${result.stdout}\n${result.stderr}`);
  }

  up(...args: string[]): Promise<string> {
    return this.ok("up", "--yes", "--skip-preview", ...args);
  }

  destroy(...args: string[]): Promise<string> {
    return this.ok("destroy", "--yes", "--skip-preview", ...args);
  }

  /** A resource of the current stack's state, by its name. */
  async resource(name: string): Promise<Resource> {
    const state = JSON.parse(await this.ok("stack", "export")) as { deployment: { resources?: Resource[] } };
    const found = state.deployment.resources?.find(({ urn }) => urn.endsWith(`::${name}`));
    if (found === undefined) throw new Error(`the state has no ${name}`);
    return found;
  }
}

/** Gives the lab's SSH key to the current stack as a secret of its configuration. */
export async function setKey(project: PulumiProject, lab: Lab, name: string): Promise<void> {
  const input = fs.readFileSync(lab.nodes[0]?.ssh.keyPath ?? "", "utf8");
  const { code, stderr } = await project.run(["config", "set", "--secret", name], { input });
  if (code !== 0) throw new Error(`pulumi config set failed: ${stderr}`);
}
