import type { Duplex } from "node:stream";
import type { NodeSSH } from "node-ssh";
import type { ClientChannel } from "ssh2";
import { createSlots } from "./slots";

/** What a channel gave. `sent`: all of the input has left; `opened`: the server has given a channel. */
export interface ChannelOutcome {
  readonly opened: boolean;
  readonly sent: boolean;
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly cause?: unknown;
}

export interface ExecOptions {
  readonly signal: AbortSignal;
  readonly onOpen: () => void;
}

/** One authenticated connection. */
export interface Link {
  alive(): boolean;
  exec(command: string, input: string, options: ExecOptions): Promise<ChannelOutcome>;
  forwardOut(host: string, port: number): Promise<Duplex>;
  /** Takes no new work and closes when the work under way has ended. */
  retire(): void;
  close(): void;
}

/** Channels at once: below OpenSSH's default MaxSessions of 10. */
const CHANNELS = 8;

/** How long a closed connection may take to say goodbye. */
const LAST_WORDS_MS = 1_000;

export function createLink(ssh: NodeSSH, socket: Duplex): Link {
  const slots = createSlots(CHANNELS);
  let active = 0;
  let open = 0;
  let retired = false;

  const close = (): void => {
    retired = true;
    ssh.dispose();
    // A peer that is gone does not answer our end; the process must not wait for it.
    setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
  };
  const alive = (): boolean => !retired && ssh.isConnected();

  /** A server with a lower MaxSessions refuses a channel: then wait for one of ours to end. */
  async function execFitting(command: string, input: string, options: ExecOptions): Promise<ChannelOutcome> {
    for (let refusals = 0; ; refusals++) {
      const outcome = await slots.use(async () => {
        const result = await openAndRun(ssh, command, input, {
          ...options,
          onOpen: () => {
            open++;
            options.onOpen();
          },
        });
        if (result.opened) open--;
        else if (ssh.isConnected() && open > 0) slots.shrink(open);
        return result;
      });
      if (outcome.opened || options.signal.aborted || !ssh.isConnected() || refusals >= 2 * CHANNELS) return outcome;
    }
  }

  return {
    alive,
    close,
    async exec(command, input, options) {
      active++;
      try {
        return await execFitting(command, input, options);
      } finally {
        active--;
        if (retired && active === 0) close();
      }
    },
    forwardOut: (host, port) => ssh.forwardOut("127.0.0.1", 0, host, port),
    retire() {
      retired = true;
      if (active === 0) close();
    },
  };
}

async function openAndRun(
  ssh: NodeSSH,
  command: string,
  input: string,
  { signal, onOpen }: ExecOptions,
): Promise<ChannelOutcome> {
  const stdout: Buffer[] = [];
  let channel: ClientChannel | undefined;
  let sent = false;
  const outcome = (code: number | null, stderr: string, cause?: unknown): ChannelOutcome => ({
    opened: channel !== undefined,
    sent,
    code,
    stdout: Buffer.concat(stdout),
    stderr,
    cause,
  });
  if (signal.aborted) return outcome(null, "", signal.reason);
  const abort = (): void => channel?.close();
  signal.addEventListener("abort", abort, { once: true });
  try {
    const result = await ssh.execCommand(command, {
      stdin: input,
      noTrim: true,
      encoding: "latin1",
      onStdout: (chunk) => stdout.push(chunk),
      onChannel: (opened) => {
        channel = opened;
        opened.once("finish", () => {
          sent = true;
        });
        onOpen();
        if (signal.aborted) opened.close();
      },
    });
    return outcome(result.code, result.stderr);
  } catch (cause) {
    return outcome(null, "", cause);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
