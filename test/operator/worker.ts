/**
 * Runs in the operator's namespace, where SSH is the only way to a node, and calls the provider's runtime as the engine would.
 * JSON lines in: {id, module, method, args}; JSON lines out: {id, result} or {id, error}.
 */
import { createInterface } from "node:readline";
import type { ConnectionRef } from "../../provider/model/connection";
import type { RegistryEntry } from "../../provider/program/registry";
import { configure, resetContext, session } from "../../provider/runtime/context";
import * as egressGateway from "../../provider/runtime/egress-gateway";
import * as egressPolicy from "../../provider/runtime/egress-policy";
import * as nodeMark from "../../provider/runtime/node-mark";
import { forgetRun } from "../../provider/runtime/run-memory";
import { createSecretResolver } from "../../provider/transport/secrets";
import { createSshTransport } from "../../provider/transport/ssh";

type Method = (...args: unknown[]) => Promise<unknown>;

const transport = () => createSshTransport({ resolveSecret: createSecretResolver(() => undefined) });
let current = transport();
void resetContext(current);

const warnings: string[] = [];
console.warn = (text: string) => void warnings.push(text);
const notes: string[] = [];
console.info = (text: string) => void notes.push(text);

const own: Record<string, Method> = {
  /** What users were told since this was last asked. */
  warnings: async () => warnings.splice(0),
  notes: async () => notes.splice(0),
  /** What creates do at the fleet's registry, without the rest of a create. */
  claim: (node, connection, fleet, entries) =>
    session(String(node), connection as ConnectionRef).claim(String(fleet), entries as RegistryEntry[]),
  release: (node, connection, fleet, owner) =>
    session(String(node), connection as ConnectionRef).release(String(fleet), String(owner)),
  /** A new run, with this configuration of the stack: what an engine gets by starting another provider process. */
  newRun: async (config = {}) => {
    configure({ config: new Map(Object.entries(config as Record<string, string>)) });
    current = transport();
    await resetContext(current);
    forgetRun();
  },
  counters: async (node) => current.counters(String(node)),
};

const modules: Record<string, Record<string, unknown>> = {
  "node-mark": nodeMark,
  "egress-gateway": egressGateway,
  "egress-policy": egressPolicy,
  own,
};

createInterface({ input: process.stdin }).on("line", (line) => void answer(line));

async function answer(line: string): Promise<void> {
  const { id, module, method, args } = JSON.parse(line) as {
    id: number;
    module: string;
    method: string;
    args: unknown[];
  };
  try {
    const called = modules[module]?.[method] as Method | undefined;
    if (!called) throw new Error(`no ${module}.${method}`);
    process.stdout.write(`${JSON.stringify({ id, result: (await called(...args)) ?? null })}\n`);
  } catch (error) {
    const { message, id: made, properties } = error as Error & { id?: string; properties?: object };
    const recorded = properties && { id: made, properties };
    process.stdout.write(`${JSON.stringify({ id, error: message, recorded })}\n`);
  }
}
