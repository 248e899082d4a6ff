import { setTimeout as sleep } from "node:timers/promises";
import { execOk, type Lab, netCounter } from "../../test/lab";
import { type Busy, watchCores } from "../cpu";
import { listens, start } from "../throughput/servers";
import type { Path } from "./paths";

const PORT = 5401;

/** Datagrams that came to the outside. */
export interface Datagrams {
  readonly perSecond: number;
  readonly sent: number;
  readonly busy: Busy;
}

/** Of connections, or of requests on one; times in microseconds. */
export interface Times {
  readonly count: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly busy: Busy;
}

/** The program traffic.c, with its other end on each outside host, which ends with the lab. */
export class Sender {
  private constructor(
    private readonly lab: Lab,
    private readonly tool: string,
  ) {}

  static async start(lab: Lab, tool: string): Promise<Sender> {
    for (const { name } of lab.outside) start(lab, name, [tool, "serve", String(PORT)]);
    await Promise.all(lab.outside.map(({ name }) => listens(lab, name, PORT)));
    return new Sender(lab, tool);
  }

  /** Datagrams of 64 bytes from one socket; `rate` a second, 0 = as fast as it goes. */
  async datagrams(path: Path, seconds: number, rate = 0): Promise<Datagrams> {
    const before = await this.arrived(path);
    const busySince = watchCores();
    const said = await this.run<{ sent: number; seconds: number }>(path, "send", seconds, rate);
    const busy = busySince();
    await sleep(20);
    const count = (await this.arrived(path)) - before;
    return { perSecond: count / said.seconds, sent: said.sent, busy };
  }

  /** Connections one after the other. */
  connections = (path: Path, count: number): Promise<Times> => this.timed(path, "connect", count);

  /** Requests and answers of 64 bytes, one after the other on one connection. */
  requests = (path: Path, count: number): Promise<Times> => this.timed(path, "ask", count);

  private async timed(path: Path, verb: "connect" | "ask", count: number): Promise<Times> {
    const busySince = watchCores();
    const said = await this.run<Omit<Times, "busy">>(path, verb, count);
    return { ...said, busy: busySince() };
  }

  private async run<T>({ pod, address }: Path, verb: string, ...words: readonly number[]): Promise<T> {
    const argv = [this.tool, verb, address, String(PORT), ...words.map(String)];
    return JSON.parse(await execOk(this.lab, pod, argv, { timeoutMs: 60_000 })) as T;
  }

  /** What the host has got for sockets, whether these had room for it or not. */
  private async arrived({ outside }: Path): Promise<number> {
    const text = await execOk(this.lab, outside, ["cat", "/proc/net/snmp"]);
    return netCounter(text, "Udp", "InDatagrams") + netCounter(text, "Udp", "InErrors");
  }
}
