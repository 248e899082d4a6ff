import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionRef } from "../model/connection";
import { type Deadline, startDeadline } from "./deadline";
import { dial, type Target } from "./dial";
import { DialFailure } from "./dial-failure";
import { NodeError } from "./errors";
import { remoteCommand } from "./framing";
import type { Link } from "./link";
import { createLinkPool } from "./link-pool";
import { MAY_RUN, NOTHING_RAN, type RunFacts, readOutcome } from "./outcome";
import type { ExecResult, SecretResolver, Transport, TransportCounters } from "./transport";

const RUN_TIMEOUT_MS = 120_000;

/** The transport over SSH: one connection a node, kept until `close`. A jump host's connection is shared by the nodes behind it. */
export function createSshTransport({ resolveSecret }: { resolveSecret: SecretResolver }): Transport {
  const pool = createLinkPool();
  const counters = new Map<string, TransportCounters>();
  let stopping = new AbortController();

  const countersOf = (node: string): TransportCounters => {
    const known = counters.get(node) ?? { handshakes: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 };
    counters.set(node, known);
    return known;
  };

  const dialFor = (node: string, target: Target, openSocket: () => Promise<Duplex>): Promise<Link> =>
    dial(target, {
      resolveSecret,
      openSocket,
      onHandshake: () => {
        countersOf(node).handshakes++;
      },
      signal: stopping.signal,
    });

  async function linkTo(node: string, { proxy, ...target }: ConnectionRef): Promise<Link> {
    const { host, port = 22 } = target;
    if (proxy === undefined) return dialFor(node, target, async () => connect({ host, port, noDelay: true }));
    const jump = (): Promise<Link> => pool.get(proxyKey(proxy), () => linkTo(node, proxy));
    return dialFor(node, target, async () => (await jump().catch(asJumpFailure)).forwardOut(host, port));
  }

  async function runOnce(
    run: RunFacts,
    link: Link,
    script: string,
    deadline: Deadline,
  ): Promise<ExecResult | "stale link"> {
    const count = countersOf(run.node);
    const onOpen = (): void => {
      count.roundTrips++;
      count.bytesOut += run.length;
      deadline.meanwhile = MAY_RUN;
    };
    const outcome = await deadline.limit(link.exec(remoteCommand(run), script, { signal: deadline.signal, onOpen }));
    if (!outcome.opened && !link.alive()) return "stale link";
    const { bytes, ...result } = readOutcome(run, outcome);
    count.bytesIn += bytes;
    return result;
  }

  return {
    counters: (node) => ({ ...countersOf(node) }),

    async run(node, connection, script, { timeoutMs = RUN_TIMEOUT_MS } = {}) {
      const key = nodeKey(node, connection);
      const deadline = startDeadline(node, timeoutMs, NOTHING_RAN);
      try {
        for (let attempt = 1; ; attempt++) {
          const link = await deadline.limit(pool.get(key, () => linkTo(node, connection))).catch((cause: unknown) => {
            throw cause instanceof NodeError
              ? cause
              : new NodeError(node, "unreachable", (cause as Error).message, { cause });
          });
          deadline.onExpiry = () => {
            pool.drop(key, link);
            link.retire();
          };
          const run = {
            node,
            connection,
            sudo: needsSudo(connection),
            nonce: randomBytes(16).toString("hex"),
            length: Buffer.byteLength(script),
          };
          const result = await runOnce(run, link, script, deadline);
          if (result !== "stale link") return result;
          // It had died unnoticed. Without a channel nothing can have run, so once more is safe.
          if (attempt === 2)
            throw new NodeError(
              node,
              "unreachable",
              `the connection broke twice before the program was sent; ${NOTHING_RAN}`,
            );
        }
      } finally {
        deadline.clear();
      }
    },

    async close() {
      stopping.abort(new Error("the transport was closed"));
      stopping = new AbortController();
      await pool.close();
    },
  };
}

function asJumpFailure(cause: Error): never {
  throw new DialFailure(`jump host: ${cause.message}`, true, cause);
}

function needsSudo({ sudo, user = "root" }: ConnectionRef): boolean {
  return sudo ?? user !== "root";
}

function nodeKey(node: string, connection: ConnectionRef): string {
  return JSON.stringify(["node", node, connection]);
}

function proxyKey(proxy: Target): string {
  return JSON.stringify(["proxy", proxy]);
}
