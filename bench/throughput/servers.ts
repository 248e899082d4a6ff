import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { enter, exec, type Lab } from "../../test/lab";
import { sourceFile } from "../source-file";

export const IPERF_PORT = 5201;
export const PING_PONG_PORT = 5301;

/** Programs that answer on an outside host. They end with the lab. */
export async function startServers(lab: Lab): Promise<void> {
  for (const { name } of lab.outside) {
    start(lab, name, ["iperf3", "--server", "--port", String(IPERF_PORT)]);
    start(lab, name, pingPong("serve", PING_PONG_PORT));
  }
  await Promise.all(
    lab.outside.flatMap(({ name }) => [listens(lab, name, IPERF_PORT), listens(lab, name, PING_PONG_PORT)]),
  );
}

export function pingPong(...words: readonly (string | number)[]): string[] {
  return ["python3", "-S", "-E", "-B", sourceFile("throughput/ping-pong.py"), ...words.map(String)];
}

/** Starts a program that ends with the lab. */
export function start(lab: Lab, host: string, argv: readonly string[]): void {
  const [program = "", ...words] = [...enter(lab, host), ...argv];
  spawn(program, words, { stdio: "ignore", detached: true }).unref();
}

/** @throws Error if nothing listens on a TCP port of a host within 15 s. */
export async function listens(lab: Lab, host: string, port: number): Promise<void> {
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(100)) {
    const { stdout } = await exec(lab, host, ["ss", "-Htln", `sport = :${port}`]);
    if (stdout.trim() !== "") return;
  }
  throw new Error(`nothing listens on port ${port} of ${host}`);
}
