import type { Duplex } from "node:stream";
import type { NodeSSH } from "node-ssh";
import { type ChannelOptions, type ChannelOutcome, runChannel } from "./channel";
import { createSlots } from "./slots";

/** One authenticated connection. */
export interface Link {
  /** Whether new work may be given to it. */
  alive(): boolean;
  exec(command: string, input: string, options: ChannelOptions): Promise<ChannelOutcome>;
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

  async function execOnce(command: string, input: string, options: ChannelOptions): Promise<ChannelOutcome> {
    const onOpen = (): void => {
      open++;
      options.onOpen();
    };
    const outcome = await runChannel(ssh, command, input, { ...options, onOpen });
    if (outcome.opened) open--;
    else if (outcome.refused) slots.shrink(open);
    // A connection that is dying gives no channel before its end is noticed.
    else retired = true;
    return outcome;
  }

  return {
    alive: () => !retired && ssh.isConnected(),
    close,
    async exec(command, input, options) {
      active++;
      try {
        for (let refusals = 0; ; refusals++) {
          const outcome = await slots.use(() => execOnce(command, input, options));
          // A server with a lower MaxSessions: the slots have shrunk, so the next try waits for one of ours to end.
          if (!outcome.refused || options.signal.aborted || refusals === CHANNELS) return outcome;
        }
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
