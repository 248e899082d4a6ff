import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { agentSocket } from "./boot-script";
import type { Lab } from "./topology";

export type AgentRequest = { readonly op: string } & Readonly<Record<string, unknown>>;
export type AgentAnswer = Readonly<Record<string, unknown>>;

/** Asks the agent of a pod or outside host; a fault of the request is thrown, a network error is an answer. */
export async function askAgent(lab: Lab, host: string, request: AgentRequest): Promise<AgentAnswer> {
  const answer = JSON.parse(await exchange(agentSocket(lab, host), `${JSON.stringify(request)}\n`)) as AgentAnswer;
  if (typeof answer.fault === "string") throw new Error(`agent of ${host}, ${request.op}: ${answer.fault}`);
  return answer;
}

/** Waits for a new agent to answer. */
export async function agentReady(lab: Lab, host: string): Promise<void> {
  const socket = agentSocket(lab, host);
  const end = Date.now() + 10_000;
  while (!fs.existsSync(socket)) {
    if (Date.now() > end) {
      const log = path.join(lab.directory, "log", `${host}.stderr`);
      throw new Error(`the agent of ${host} does not start: ${fs.readFileSync(log, "utf8")}`);
    }
    await sleep(10);
  }
}

function exchange(socket: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = net.connect(socket, () => connection.write(line));
    const parts: Buffer[] = [];
    connection.on("data", (data) => parts.push(data));
    connection.on("error", reject);
    connection.on("end", () => resolve(Buffer.concat(parts).toString()));
  });
}
