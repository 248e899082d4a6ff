import { NodeError } from "./errors";

/** The time limit of one run. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** What is true of the node at this moment, for the sentence of a timeout. */
  meanwhile: string;
  /** Called once when the time is over. */
  onExpiry: () => void;
  /** Settles as `work` does, or rejects when the time is over. */
  limit<T>(work: Promise<T>): Promise<T>;
  clear(): void;
}

export function startDeadline(node: string, timeoutMs: number, meanwhile: string): Deadline {
  const controller = new AbortController();
  let expire: (error: NodeError) => void = () => {};
  const expired = new Promise<never>((_, reject) => {
    expire = reject;
  });
  expired.catch(() => {});
  const timer = setTimeout(() => {
    const error = new NodeError(node, "unreachable", `no answer within ${timeoutMs / 1_000} s; ${deadline.meanwhile}`);
    expire(error);
    controller.abort(error);
    deadline.onExpiry();
  }, timeoutMs);
  const deadline: Deadline = {
    signal: controller.signal,
    meanwhile,
    onExpiry: () => {},
    limit: (work) => Promise.race([work, expired]),
    clear: () => clearTimeout(timer),
  };
  return deadline;
}
