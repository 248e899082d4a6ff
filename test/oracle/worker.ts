import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import type * as net from "node:net";
import * as path from "node:path";

/** A Python program of this folder that works until it is told to stop, and then reports. */
export interface Worker<Begun, Report> {
  /** What it says once it has begun. */
  readonly begun: Promise<Begun>;
  readonly stop: () => Promise<Report>;
}

/** Starts a program and gives it its request. It also ends when this process does. */
export function startWorker<Begun, Report>(program: string, request: unknown): Worker<Begun, Report> {
  // -S -E -B: starts twice as fast, and leaves no bytecode beside the sources.
  const child = spawn("/usr/bin/python3", ["-S", "-E", "-B", sourceFile(program)], { stdio: ["pipe", "pipe", "pipe"] });
  const lines = readLines(child, program);
  // While nobody waits for it, it must not keep this process alive: it ends with it.
  const pipes = [child.stdin, child.stdout, child.stderr] as unknown as readonly net.Socket[];
  const handles = [child, ...pipes];
  const answer = async (): Promise<unknown> => {
    for (const handle of handles) handle.ref();
    const line = await lines.next();
    for (const handle of handles) handle.unref();
    return JSON.parse(line);
  };
  child.stdin.on("error", () => undefined); // it ended: its exit code tells
  child.stdin.write(`${JSON.stringify(request)}\n`);
  return {
    begun: answer() as Promise<Begun>,
    stop: () => {
      child.stdin.end("stop\n");
      return answer() as Promise<Report>;
    },
  };
}

/** The lines of a program's output, one by one; its early end is an error. */
function readLines(child: ChildProcess, program: string): { next(): Promise<string> } {
  const parts: string[] = [];
  let errors = "";
  let waiting: { resolve(line: string): void; reject(error: Error): void } | undefined;
  let ended: Error | undefined;
  const settle = (): void => {
    const text = parts.join("");
    const at = text.indexOf("\n");
    if (waiting === undefined) return;
    if (at >= 0) {
      parts.splice(0, parts.length, text.slice(at + 1));
      waiting.resolve(text.slice(0, at));
    } else if (ended !== undefined) waiting.reject(ended);
    else return;
    waiting = undefined;
  };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    parts.push(text);
    if (text.includes("\n")) settle();
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  child.on("error", (error) => {
    ended = error;
    settle();
  });
  child.on("close", (code) => {
    ended ??= new Error(`${program} ended with exit code ${code}: ${errors.trim()}`);
    settle();
  });
  return {
    next: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        settle();
      }),
  };
}

/** A file that stands beside the sources in test/oracle, also when this runs compiled from dist/. */
function sourceFile(name: string): string {
  const beside = path.join(__dirname, name);
  return fs.existsSync(beside) ? beside : path.join(__dirname, "..", "..", "..", "test", "oracle", name);
}
