import type { Answers } from "./answers";
import type { Connection, Connections } from "./connections";
import type { Expectations } from "./expectations";
import type { Findings } from "./findings";

/** All that a packet is judged by. */
export interface Court {
  readonly expectations: Expectations;
  readonly connections: Connections;
  readonly answers: Answers;
  readonly findings: Findings;
  /** Connections by the addresses and ports that the outside sees. */
  readonly tuples: Map<string, Connection>;
  readonly isInside: (address: string) => boolean;
  readonly isPodAddress: (address: string) => boolean;
  readonly podAt: (address: string) => string | undefined;
  readonly isNodeAddress: (address: string) => boolean;
  readonly isRouterAddress: (address: string) => boolean;
  /** The addresses of a pod that no egress gateway gives it: its own and its node's. */
  readonly ownAddresses: ReadonlyMap<string, readonly string[]>;
  readonly pods: readonly string[];
  readonly nodes: readonly string[];
  judged: number;
  unattributed: number;
}
