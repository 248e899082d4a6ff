import { type ChildProcess, spawn } from "node:child_process";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { enter, type Lab } from "../lab";

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
  readonly recorded?: Recording;
}

/** What an error tells the engine to remember all the same. */
export interface Recording {
  readonly id: string;
  readonly properties: Record<string, unknown>;
}

/** A process in the operator's namespace that calls the provider's runtime: one process is one run of the engine, unless it says `newRun`. */
export class Operator {
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  private next = 0;

  private constructor(private readonly child: ChildProcess) {
    createInterface({ input: child.stdout ?? process.stdin }).on("line", (line) => {
      if (!line.startsWith("{")) return;
      const { id, result, error, recorded } = JSON.parse(line) as Answer;
      const one = this.waiting.get(id);
      this.waiting.delete(id);
      if (error !== undefined) one?.reject(Object.assign(new Error(error), { recorded }));
      else one?.resolve(result);
    });
    child.on("exit", (code) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`the operator process ended with ${code}`));
    });
  }

  static start(lab: Lab): Operator {
    const worker = path.join(__dirname, "../../dist/test/operator/worker.js");
    const [command = "", ...words] = [
      ...enter(lab, "operator"),
      process.execPath,
      worker.replace("/dist/dist/", "/dist/"),
    ];
    return new Operator(spawn(command, words, { stdio: ["pipe", "pipe", "inherit"] }));
  }

  call<T>(module: string, method: string, ...args: unknown[]): Promise<T> {
    const id = this.next++;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.child.stdin?.write(`${JSON.stringify({ id, module, method, args })}\n`);
    });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin?.end();
    this.child.kill();
    await ended;
  }
}
