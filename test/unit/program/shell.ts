import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder with tools of our own in front of the real ones. */
export class Shell {
  readonly folder = mkdtempSync(join(tmpdir(), "egw-program-"));

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
    const env = { PATH: `${this.folder}:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: "C" };
    return spawnSync(shell, ["-s"], { input: script, env, encoding: "utf8", cwd: this.folder });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

export const hasTool = (name: string): boolean => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;
