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

/**
 * The transport over SSH. Each node has one connection, kept until `close`; the nodes behind a jump host share
 * one to it, whose handshake is counted for the node that asked first. `timeoutMs` is the limit of a whole run:
 * connecting, waiting for a channel, and the answer.
 */
export function createSshTransport({ resolveSecret }: { resolveSecret: SecretResolver }): Transport {
  const pool = createLinkPool();
  const counters = new Map<string, TransportCounters>();
  let stopping = createStopper();

  const countersOf = (node: string): TransportCounters => {
    const known = counters.get(node) ?? { handshakes: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 };
    counters.set(node, known);
    return known;
  };

  /** `signal` is that of the run that asked first: what `close` ended must not connect once more. */
  function connectTo(node: string, { proxy, ...target }: ConnectionRef, signal: AbortSignal): Promise<Link> {
    const { host, port = 22 } = target;
    const jump = (via: Target): Promise<Link> =>
      pool.get(JSON.stringify(["jump", via]), () => connectTo(node, via, signal)).catch(asJumpFailure);
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

  function linkTo(node: string, connection: ConnectionRef): Promise<Link> {
    return pool
      .get(JSON.stringify(["node", node, connection]), () => connectTo(node, connection, stopping.signal))
      .catch((cause: Error) => {
        throw new NodeError(node, "unreachable", cause.message, { cause });
      });
  }

  /** Undefined where the link had died unnoticed: without a channel nothing can have run. */
  async function runOnce(run: RunFacts, script: string, deadline: Deadline): Promise<ExecResult | undefined> {
    const count = countersOf(run.node);
    const link = await deadline.limit(linkTo(run.node, run.connection));
    deadline.onExpiry = () => link.retire();
    const onOpen = (): void => {
      count.roundTrips++;
      count.bytesOut += run.length;
      deadline.meanwhile = MAY_RUN;
    };
    const outcome = await deadline.limit(link.exec(remoteCommand(run), script, { signal: deadline.signal, onOpen }));
    if (!outcome.opened && !link.alive()) return undefined;
    const { bytes, ...result } = readOutcome(run, outcome);
    count.bytesIn += bytes;
    return result;
  }

  return {
    counters: (node) => ({ ...countersOf(node) }),

    async run(node, connection, script, { timeoutMs = RUN_TIMEOUT_MS } = {}) {
      const deadline = startDeadline(node, timeoutMs, NOTHING_RAN);
      const nonce = randomBytes(16).toString("hex");
      const { netns } = connection;
      const run = { node, connection, sudo: needsSudo(connection), netns, nonce, length: Buffer.byteLength(script) };
      try {
        return (await runOnce(run, script, deadline)) ?? (await runOnce(run, script, deadline)) ?? brokeTwice(node);
      } finally {
        deadline.clear();
      }
    },

    async close() {
      stopping.abort();
      stopping = createStopper();
      await pool.close();
    },
  };
}

function needsSudo({ sudo, user = "root" }: ConnectionRef): boolean {
  return sudo ?? user !== "root";
}

function createStopper(): AbortController {
  const controller = new AbortController();
  // Every dial under way listens; fifty of them are no leak.
  setMaxListeners(0, controller.signal);
  return controller;
}

function asJumpFailure(cause: Error): never {
  throw new DialFailure(`jump host: ${cause.message}`, true, cause);
}

function brokeTwice(node: string): never {
  throw new NodeError(node, "unreachable", `the connection broke twice before the program was sent; ${NOTHING_RAN}`);
}
