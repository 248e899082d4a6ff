import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MACHINE = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** A folder with tools of our own in front of the real ones: all of them, or only those that are named. */
export class Shell {
  readonly folder = mkdtempSync(join(tmpdir(), "egw-program-"));
  private readonly others: readonly string[];

  constructor(real?: readonly string[]) {
    this.others = real === undefined ? MACHINE : [join(this.folder, "real")];
    if (real === undefined) return;
    mkdirSync(join(this.folder, "real"));
    for (const name of real) {
      const found = MACHINE.map((folder) => join(folder, name)).find(existsSync);
      if (found === undefined) throw new Error(`this machine has no ${name}`);
      symlinkSync(found, join(this.folder, "real", name));
    }
  }

  /** Puts a tool there: the body of a shell script. */
  tool(name: string, body: string): void {
    const file = join(this.folder, name);
    writeFileSync(file, `#!/bin/sh\nL=${this.folder}/log\n${body}\n`);
    chmodSync(file, 0o755);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  read(name: string): string {
    const file = join(this.folder, name);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** Runs a script, with what it prints to both outputs. */
  run(script: string, shell = "sh"): { status: number | null; stdout: string; stderr: string } {
    const env = { PATH: [this.folder, ...this.others].join(":"), LC_ALL: "C" };
    return spawnSync(shell, ["-s"], { input: script, env, encoding: "utf8", cwd: this.folder });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

export const hasTool = (name: string): boolean => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;
