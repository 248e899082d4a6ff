import type { ConnectionRef } from "../model/connection";

/** What an exec channel gave back: text in, text out. */
export interface ExecResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Counted exactly, so that tests can assert them. A round trip is one exec channel; handshakes are counted apart. */
export interface TransportCounters {
  handshakes: number;
  roundTrips: number;
  bytesOut: number;
  bytesIn: number;
}

/** Resolves `config:`, `file:` and `env:` references to key material; throws an Error that names the reference. */
export type SecretResolver = (reference: string) => Promise<string>;

/** The only IO of the provider. */
export interface Transport {
  /** Runs the shell program `script` on the node; it starts only when the whole of it has arrived. Rejects with NodeError "unreachable". */
  run(node: string, connection: ConnectionRef, script: string, options?: { timeoutMs?: number }): Promise<ExecResult>;
  counters(node: string): Readonly<TransportCounters>;
  /** Ends all connections; a later run connects again. */
  close(): Promise<void>;
}
