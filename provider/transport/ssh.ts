import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { connect } from "node:net";
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
  let stopping = stopper();

  const countersOf = (node: string): TransportCounters => {
    const known = counters.get(node) ?? { handshakes: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 };
    counters.set(node, known);
    return known;
  };

  /** `signal` is that of the run that asked first: what `close` ends must not connect once more. */
  async function linkTo(node: string, { proxy, ...target }: ConnectionRef, signal: AbortSignal): Promise<Link> {
    const { host, port = 22 } = target;
    const jump = async (via: Target): Promise<Link> =>
      pool.get(proxyKey(via), () => linkTo(node, via, signal)).catch(asJumpFailure);
    return dial(target, {
      resolveSecret,
      signal,
      openSocket: async () =>
        proxy === undefined ? connect({ host, port, noDelay: true }) : (await jump(proxy)).forwardOut(host, port),
      onHandshake: () => {
        countersOf(node).handshakes++;
      },
    });
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
          const link = await deadline.limit(pool.get(key, () => linkTo(node, connection, stopping.signal))).catch((cause: unknown) => {
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
      stopping.abort();
      stopping = stopper();
      await pool.close();
    },
  };
}

function stopper(): AbortController {
  const controller = new AbortController();
  // Every dial under way listens, fifty of them are no leak.
  setMaxListeners(0, controller.signal);
  return controller;
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
