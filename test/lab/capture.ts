import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { enterNetwork } from "./exec";
import type { Lab } from "./topology";

export interface Capture {
  /** The pcap file of each host. */
  readonly files: Readonly<Record<string, string>>;
  /** Ends the capture; the files are then complete. */
  stop(): Promise<void>;
}

/** The places where a packet with a wrong source would show. */
export function captureHosts(lab: Lab): string[] {
  return ["router", ...lab.nodes.map((node) => node.name), ...lab.outside.map((host) => host.name)];
}

/** Captures on eth0 of these hosts or pods; resolves when every tcpdump listens. */
export async function startCapture(
  lab: Lab,
  hosts: readonly string[] = captureHosts(lab),
  directory?: string,
): Promise<Capture> {
  const folder = directory ?? path.join(lab.directory, "captures", `${Date.now()}`);
  fs.mkdirSync(folder, { recursive: true });
  const begun = await Promise.allSettled(hosts.map((host) => tcpdump(lab, host, path.resolve(folder, `${host}.pcap`))));
  const running = begun.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(running.map((one) => one.stop()));
  };
  const failed = begun.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return { files: Object.fromEntries(running.map((one) => [one.host, one.file])), stop };
}

interface Running {
  readonly host: string;
  readonly file: string;
  stop(): Promise<void>;
}

function tcpdump(lab: Lab, host: string, file: string): Promise<Running> {
  const [program = "", ...words] = enterNetwork(lab, host);
  const options = ["-i", "eth0", "-n", "-s", "128", "-U", "--immediate-mode", "-B", "8192", "-Z", "root", "-w", file];
  const child = spawn(program, [...words, "tcpdump", ...options], { stdio: ["ignore", "ignore", "pipe"] });
  return new Promise((resolve, reject) => {
    let stderr = "";
    const ended = new Promise<void>((done) => child.on("close", () => done()));
    child.on("error", reject);
    child.on("close", (code) => reject(new Error(`tcpdump on ${host} ended with exit code ${code}: ${stderr.trim()}`)));
    child.stderr.on("data", (data: Buffer) => {
      stderr += data.toString();
      if (!stderr.includes("listening on")) return;
      resolve({
        host,
        file,
        stop: async () => {
          // What has arrived is read before the signal.
          await sleep(300);
          child.kill("SIGINT");
          return ended;
        },
      });
    });
  });
}

/** The capture command: runs until it is interrupted, and prints the files that it wrote. */
export async function captureUntilSignal(lab: Lab, hosts: readonly string[], directory?: string): Promise<number> {
  // Heard before it says how to end it, or the signal would kill it and leave tcpdump behind.
  const interrupted = new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
  const alive = setInterval(() => undefined, 60_000);
  const capture = await startCapture(lab, hosts.length > 0 ? hosts : undefined, directory);
  process.stderr.write("capturing; end with Ctrl-C\n");
  await interrupted;
  clearInterval(alive);
  await capture.stop();
  process.stdout.write(
    Object.values(capture.files)
      .map((file) => `${file}\n`)
      .join(""),
  );
  return 0;
}
