import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { enter, type Lab } from "../lab";
import { sourceFile } from "../lab/lab-directory";

/** Starts on a host of the lab what pods and outside hosts have on their TCP port: it says whom it sees. */
export async function echoOn(lab: Lab, host: string, port: number): Promise<{ stop(): Promise<void> }> {
  // As text, since a node does not see the folder that it lies in.
  const program = [
    readFileSync(sourceFile("serve.py"), "utf8"),
    `serve_echo(Log("/dev/null"), ${port})`,
    'print("listens", flush=True)',
    "threading.Event().wait()",
  ].join("\n");
  const [command = "", ...words] = [...enter(lab, host), "python3", "-S", "-E", "-B", "-c", program];
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const [first] = await Promise.race([once(child.stdout, "data"), ended]);
  if (!String(first).startsWith("listens")) throw new Error(`the server on ${host} ended with ${String(first)}`);
  return {
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}
