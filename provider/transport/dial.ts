import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { NodeSSH } from "node-ssh";
import type { KexAlgorithm } from "ssh2";
import type { ConnectionRef } from "../model/connection";
import { type Credentials, resolveCredentials } from "./credentials";
import { DialFailure, explainDialFailure } from "./dial-failure";
import { createHostKeyCheck, type HostKeyCheck } from "./host-key";
import { createLink, type Link } from "./link";
import type { SecretResolver } from "./transport";

export type Target = Omit<ConnectionRef, "proxy" | "sudo">;

export interface DialContext {
  readonly resolveSecret: SecretResolver;
  /** Makes the byte stream to the target: TCP, or a channel through a jump host. */
  readonly openSocket: () => Promise<Duplex>;
  /** Counts a completed SSH handshake. */
  readonly onHandshake: () => void;
  /** Ends all attempts. */
  readonly signal: AbortSignal;
}

const DIAL_ERROR_LIMIT = 10;
const PER_DIAL_TIMEOUT = 15;
/** Where no limit is given, no dial lasts longer than so many attempts that time out. */
const TIMEOUTS_IN_TOTAL = 4;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const KEEPALIVE_MS = 5_000;

/** diffie-hellman-group-exchange costs the client 1.6 s of CPU a connection: never offered. */
const KEX: KexAlgorithm[] = [
  "curve25519-sha256",
  "curve25519-sha256@libssh.org",
  "ecdh-sha2-nistp256",
  "ecdh-sha2-nistp384",
  "ecdh-sha2-nistp521",
  "diffie-hellman-group14-sha256",
  "diffie-hellman-group16-sha512",
];

/** Connects and logs in, trying again where that can help; rejects with one sentence. */
export async function dial(target: Target, context: DialContext): Promise<Link> {
  const credentials = await resolveCredentials(target, context.resolveSecret);
  const hostKey = await createHostKeyCheck(target);
  const limit = target.dialErrorLimit ?? DIAL_ERROR_LIMIT;
  const end =
    Date.now() + (target.perDialTimeout ?? PER_DIAL_TIMEOUT) * 1_000 * (target.dialErrorLimit ?? TIMEOUTS_IN_TOTAL);
  for (let attempt = 1, pause = FIRST_PAUSE_MS; ; attempt++, pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await dialOnce(target, credentials, hostKey, context);
    } catch (cause) {
      const failure = cause as DialFailure;
      if (failure.final) throw failure;
      if (attempt >= limit || Date.now() + pause >= end) throw afterAttempts(failure, attempt);
      // Uneven, so that fifty nodes' dials through one address do not come back as one wave.
      await sleep(pause * (0.5 + Math.random()), undefined, { signal: context.signal }).catch(() => {});
    }
  }
}

function afterAttempts(failure: DialFailure, attempts: number): DialFailure {
  return attempts === 1 ? failure : new DialFailure(`${failure.message} (${attempts} attempts)`, true, failure.cause);
}

async function dialOnce(
  target: Target,
  credentials: Credentials,
  hostKey: HostKeyCheck,
  context: DialContext,
): Promise<Link> {
  const seconds = target.perDialTimeout ?? PER_DIAL_TIMEOUT;
  const ssh = new NodeSSH();
  let refusal: string | undefined;
  let socket: Duplex | undefined;
  let connected = false;
  const abort = (): void => void socket?.destroy();
  context.signal.addEventListener("abort", abort, { once: true });
  try {
    context.signal.throwIfAborted();
    socket = await context.openSocket();
    socket.on("error", () => {});
    connected = !("connecting" in socket && socket.connecting === true);
    socket.once("connect", () => {
      connected = true;
    });
    const connecting = ssh.connect({
      sock: socket as NonNullable<Parameters<NodeSSH["connect"]>[0]["sock"]>,
      host: target.host,
      username: target.user ?? "root",
      readyTimeout: seconds * 1_000,
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: 3,
      algorithms: { kex: KEX, serverHostKey: hostKey.algorithms },
      hostVerifier: (key: Buffer): boolean => {
        refusal = hostKey.refusal(key);
        return refusal === undefined;
      },
      ...credentials.config,
    });
    // node-ssh takes its error listener away when the connection is ready; a later error must not end the process.
    ssh.connection?.setMaxListeners(0).on("error", () => {});
    ssh.connection?.once("handshake", context.onHandshake);
    await connecting;
    return createLink(ssh, socket);
  } catch (error) {
    socket?.destroy();
    if (context.signal.aborted) throw new DialFailure("the transport was closed while it connected", true, error);
    throw explainDialFailure(target, { error, connected, refusal, methods: credentials.methods, seconds });
  } finally {
    context.signal.removeEventListener("abort", abort);
  }
}
