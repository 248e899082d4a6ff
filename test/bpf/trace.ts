import * as path from "node:path";
import { CONNECTION_KINDS, decode, HOOKS, type Values } from "../../provider/kernel/bpf-layout";

/** What bpf/connections.bpf.c says of a packet when it is traced: `struct egw_event`. */
export interface Event {
  /** Nanoseconds since boot. */
  readonly at: bigint;
  readonly ifindex: number;
  readonly hook: string;
  readonly kind: string;
  readonly isCreated: boolean;
  readonly isAnswer: boolean;
  /** Of the connection as it began. */
  readonly tuple: Values<"egw_tuple">;
}

const TUPLE_AT = 16;
const SCRIPT = path.join(__dirname, "trace.py");
const kindOf = (number: number): string =>
  Object.entries(CONNECTION_KINDS).find(([, value]) => value === number)?.[0] ?? `kind ${number}`;

function read(bytes: Buffer): Event {
  return {
    at: bytes.readBigUInt64LE(0),
    ifindex: bytes.readUInt32LE(8),
    hook: HOOKS[bytes.readUInt8(12)] ?? `hook ${bytes.readUInt8(12)}`,
    kind: kindOf(bytes.readUInt8(13)),
    isCreated: bytes.readUInt8(14) === 1,
    isAnswer: bytes.readUInt8(15) === 1,
    tuple: decode("egw_tuple", bytes.subarray(TUPLE_AT)),
  };
}

/** Takes the events out of a pinned ring buffer, in the order in which they came. */
export function takeEvents(run: (...command: string[]) => string, pin: string): Event[] {
  const lines = run("python3", SCRIPT, pin).split("\n");
  return lines.filter((line) => line !== "").map((line) => read(Buffer.from(line, "hex")));
}
