import type { ConnectionRef } from "../model/connection";
import { createSecretResolver } from "../transport/secrets";
import { createSshTransport } from "../transport/ssh";
import type { Transport } from "../transport/transport";
import { NodeSession } from "./session";

type Config = (key: string) => string | undefined;

let config: Config = () => undefined;
let transport: Transport | undefined;
const sessions = new Map<string, NodeSession>();

/** Called by the engine before anything else, with the whole stack configuration. */
export function configure(request: { readonly config: { get(key: string): string | undefined } }): void {
  config = (key) => request.config.get(key);
}

/** A value of the stack configuration; undefined where the engine gave none. */
export const configValue = (key: string): string | undefined => config(key);

/** The one session of this process with a node. */
export function session(node: string, connection: ConnectionRef): NodeSession {
  const key = JSON.stringify([
    node,
    connection.host,
    connection.port ?? 22,
    connection.user ?? "root",
    connection.proxy?.host ?? "",
    connection.netns ?? "",
  ]);
  let found = sessions.get(key);
  if (!found) {
    transport ??= createSshTransport({ resolveSecret: createSecretResolver((name) => config(name)) });
    found = new NodeSession(node, connection, transport);
    sessions.set(key, found);
  }
  return found;
}

/** The nodes that this process has to do with so far. */
export const knownSessions = (): NodeSession[] => [...sessions.values()];

/** Replaces the transport and forgets all nodes: for tests, and for scenarios that act as several runs in one process. */
export async function resetContext(next?: Transport): Promise<void> {
  if (transport && transport !== next) await transport.close();
  transport = next;
  sessions.clear();
}
