/** What went wrong between us and a node. `rejected` = the node's own tools refused; `unsupported` = a tool or kernel feature is missing. `unverified` = applied, but the kernel then showed something else. */
export type NodeErrorKind = "unreachable" | "rejected" | "foreign" | "unsupported" | "stale" | "unverified";

/** One sentence about one node, with the cause kept. */
export class NodeError extends Error {
  constructor(
    readonly node: string,
    readonly kind: NodeErrorKind,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(`node ${node}: ${message}`, options);
    this.name = "NodeError";
  }
}
