import { NodeError } from "../transport/errors";
import type { ExecResult } from "../transport/transport";

/**
 * What a script of ours printed on a node.
 * @throws NodeError where it could not do its work, and has changed nothing.
 */
export function answerOf(node: string, { code, stdout, stderr }: ExecResult): string {
  if (/(^|\n)@@busy(\n|$)/.test(stdout))
    throw new NodeError(node, "rejected", "another run holds the node's lock; nothing was changed. Try again.");
  const full = /(?:^|\n)@@no-space (.*)/.exec(stdout)?.[1];
  if (full !== undefined)
    throw new NodeError(
      node,
      "rejected",
      `no space left on ${full}; nothing was changed. Make room there, then run again.`,
    );
  if (code !== 0)
    throw new NodeError(
      node,
      "rejected",
      `the node program ended with exit code ${code}: ${stderr.trim() || "no message"}`,
    );
  return stdout;
}
