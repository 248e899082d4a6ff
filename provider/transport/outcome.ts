import type { ConnectionRef } from "../model/connection";
import type { ChannelOutcome } from "./channel";
import { NodeError } from "./errors";
import { NO_DIRECTORY, parseAnswer } from "./framing";
import type { ExecResult } from "./transport";

export const NOTHING_RAN = "nothing was run on the node";
export const MAY_RUN = "the command may still be running on the node";

/** One run, as far as its errors name it. */
export interface RunFacts {
  readonly node: string;
  readonly connection: ConnectionRef;
  readonly sudo: boolean;
  readonly nonce: string;
  readonly length: number;
}

/** Reads what the channel gave: the framed answer, or the reason why there is none. */
export function readOutcome(run: RunFacts, outcome: ChannelOutcome): ExecResult & { readonly bytes: number } {
  const answer = parseAnswer(outcome.stdout, run.nonce);
  if (answer.kind === "complete") {
    return { code: answer.code, stdout: answer.stdout, stderr: answer.stderr, bytes: answer.bytes };
  }
  const { cause } = outcome;
  const unreachable = (message: string): NodeError => new NodeError(run.node, "unreachable", message, { cause });
  const rejected = (message: string): NodeError => new NodeError(run.node, "rejected", message, { cause });
  const said = lastLine(outcome.stderr);

  if (answer.kind === "short") {
    return fail(
      rejected(
        `only ${answer.arrived} of ${run.length} bytes of the program arrived and ${NOTHING_RAN}${said}; check the space in /run and that no start file of the login shell reads its input`,
      ),
    );
  }
  if (answer.kind === "no-namespace") {
    const { netns, host } = run.connection;
    return fail(
      unreachable(
        `${host} has no network namespace "${netns}" (/run/netns/${netns}) and ${NOTHING_RAN}; give the pod's own as connection.netns, or write the node off in egress:abandon`,
      ),
    );
  }
  if (answer.kind === "cut") return fail(unreachable(`the answer was cut off; ${MAY_RUN}, so read its state again`));
  if (!outcome.opened)
    return fail(
      unreachable(
        `the server gave no channel (${message(cause)}) and ${NOTHING_RAN}; check MaxSessions in its sshd_config`,
      ),
    );
  if (outcome.code === null) {
    return fail(
      unreachable(
        `the connection was lost before an answer came; ${outcome.sent ? MAY_RUN : NOTHING_RAN}, so read its state again`,
      ),
    );
  }
  if (outcome.code === NO_DIRECTORY) {
    return fail(
      rejected(`no directory can be made in /run and ${NOTHING_RAN}${said}; log in as root or set sudo: true`),
    );
  }
  if (run.sudo && /\bsudo\b/.test(outcome.stderr)) {
    const user = run.connection.user ?? "root";
    return fail(
      rejected(
        `sudo -n was refused for ${user}${said}; allow it with the line "${user} ALL=(root) NOPASSWD: ALL" in /etc/sudoers.d, or log in as root`,
      ),
    );
  }
  return fail(
    rejected(
      `the login shell did not start the program (exit code ${outcome.code}${said}); give ${run.connection.user ?? "root"} a shell such as /bin/bash there`,
    ),
  );
}

function fail(error: NodeError): never {
  throw error;
}

function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : "no reason given";
}

/** What the node's tools said last: its start files may have said something before. */
function lastLine(stderr: string): string {
  const line = stderr.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
  return line === "" ? "" : `: ${line}`;
}
