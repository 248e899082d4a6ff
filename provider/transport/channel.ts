import type { NodeSSH } from "node-ssh";
import type { ClientChannel } from "ssh2";

/** What one exec channel gave. */
export interface ChannelOutcome {
  /** The server has given the channel and started the command. */
  readonly opened: boolean;
  /** The server is there, but wants no more channels. */
  readonly refused: boolean;
  /** All of the input has left this machine. */
  readonly sent: boolean;
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly cause?: unknown;
}

export interface ChannelOptions {
  /** Closes the channel, not the command. */
  readonly signal: AbortSignal;
  readonly onOpen: () => void;
}

/** Runs `command` with `input` in a channel of its own; never rejects. */
export async function runChannel(
  ssh: NodeSSH,
  command: string,
  input: string,
  { signal, onOpen }: ChannelOptions,
): Promise<ChannelOutcome> {
  const stdout: Buffer[] = [];
  let channel: ClientChannel | undefined;
  let sent = false;
  const outcome = (code: number | null, stderr: string, cause?: unknown): ChannelOutcome => ({
    opened: channel !== undefined,
    refused: typeof (cause as { reason?: unknown } | undefined)?.reason === "number",
    sent,
    code,
    stdout: Buffer.concat(stdout),
    stderr,
    cause,
  });
  if (signal.aborted) return outcome(null, "", signal.reason);
  let abort = (): void => {};
  // The server keeps a closed channel open for as long as its command runs: not waited for.
  const aborted = new Promise<ChannelOutcome>((resolve) => {
    abort = () => {
      channel?.close();
      resolve(outcome(null, "", signal.reason));
    };
  });
  signal.addEventListener("abort", abort, { once: true });
  const executed = ssh.execCommand(command, {
    stdin: input,
    noTrim: true,
    encoding: "latin1",
    onStdout: (chunk) => stdout.push(chunk),
    onChannel: (opened) => {
      if (signal.aborted) return opened.close();
      channel = opened;
      opened.once("finish", () => {
        sent = true;
      });
      onOpen();
    },
  });
  const ended = executed.then(
    (result) => outcome(result.code, result.stderr),
    (cause: unknown) => outcome(null, "", cause),
  );
  try {
    return await Promise.race([ended, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
