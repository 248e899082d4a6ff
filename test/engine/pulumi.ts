import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { enter, type Lab } from "../lab";
import { root } from "./install";

export interface PulumiResult {
  readonly command: string;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

export interface PulumiOptions {
  readonly input?: string;
  /** Called with each line as it comes. */
  readonly onLine?: (line: string) => void;
}

/** A Pulumi project in a temporary folder with a home of its own, run by the real CLI on the lab's operator: SSH is its only way to a node. */
export class PulumiProject {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-project-"));
  readonly home = path.join(this.folder, "home");
  readonly state = path.join(this.folder, "state");
  /** Everything that any run printed. */
  readonly printed: string[] = [];
  readonly env: Readonly<Record<string, string>> = {
    PULUMI_BACKEND_URL: `file://${this.state}`,
    PULUMI_CONFIG_PASSPHRASE: "of the lab",
    PULUMI_SKIP_UPDATE_CHECK: "1",
    PULUMI_HOME: path.join(this.home, ".pulumi"),
    HOME: this.home,
    // One for all, so that only the first command on this clone compiles.
    NODE_COMPILE_CACHE: path.join(root, "dist/.compiled"),
  };

  constructor(private readonly lab: Lab) {
    fs.mkdirSync(this.state);
    fs.mkdirSync(path.join(this.home, ".ssh"), { recursive: true });
    const known = lab.nodes[0]?.ssh.knownHostsPath;
    if (known !== undefined) fs.copyFileSync(known, path.join(this.home, ".ssh/known_hosts"));
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(this.folder, name), text);
  }

  /** The whole command as it is run, in the operator's namespace. */
  argv(args: readonly string[]): string[] {
    return [...enter(this.lab, "operator"), process.env.EGW_PULUMI ?? "pulumi", ...args];
  }

  /** Runs `pulumi ARGS`; any exit code is a result. */
  run(args: readonly string[], options: PulumiOptions = {}): Promise<PulumiResult> {
    const [program = "", ...words] = this.argv(args);
    const began = Date.now();
    return new Promise((resolve, reject) => {
      const child = spawn(program, words, { cwd: this.folder, env: { ...process.env, ...this.env } });
      const collect = (stream: NodeJS.ReadableStream): string[] => {
        const lines: string[] = [];
        createInterface({ input: stream }).on("line", (line) => {
          lines.push(line);
          options.onLine?.(line);
        });
        return lines;
      };
      const [out, err] = [collect(child.stdout), collect(child.stderr)];
      child.stdin.on("error", () => undefined); // it ended without reading: its exit code tells
      child.stdin.end(options.input ?? "");
      child.on("error", reject);
      child.on("close", (code, signal) => {
        const [stdout, stderr] = [out.join("\n"), err.join("\n")];
        this.printed.push(stdout, stderr);
        const command = `pulumi ${args.join(" ")}`;
        if (code === null) reject(new Error(`${command} was ended by ${signal}`));
        else resolve({ command, code, stdout, stderr, seconds: (Date.now() - began) / 1000 });
      });
    });
  }

  /** As run, but any exit code other than 0 is an error; gives stdout. */
  async ok(...args: string[]): Promise<string> {
    const { command, code, stdout, stderr } = await this.run(args);
    if (code === 0) return stdout;
    throw new Error(`${command} failed with exit code ${code}:\n${stdout}\n${stderr}`);
  }

  /** Removes the folder, with all that the CLI left in it. */
  remove(): void {
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
