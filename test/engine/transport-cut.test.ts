import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeError } from "../../provider/transport/errors";
import { createSecretResolver } from "../../provider/transport/secrets";
import { createSshTransport } from "../../provider/transport/ssh";
import { startCutProxy } from "../unit/transport/cut-proxy";
import { type Sshd, startSshd } from "../unit/transport/sshd";

/**
 * Every line of the script leaves a line in the marker file, so a shell that runs what has arrived so far
 * shows: whatever is cut where, the file is not there, or it is whole.
 */
const LINES = 200;
const script = (marker: string): string =>
  Array.from(
    { length: LINES },
    (_, i) => `echo ${i} >>${marker}; echo "line ${i} of the answer ${".".repeat(40)}"\n`,
  ).join("");
const whole = `${[...Array(LINES).keys()].join("\n")}\n`;

interface Cut {
  readonly error: NodeError | undefined;
  readonly ran: "not at all" | "to its end" | "in part";
}

let sshd: Sshd;
beforeAll(async () => {
  sshd = await startSshd({ config: ["MaxStartups 100"] });
});
afterAll(() => sshd.stop());

async function runAndCut(direction: "upload" | "download", bytes: number): Promise<Cut> {
  const marker = `${sshd.dir}/marker-${direction}-${bytes}`;
  const proxy = await startCutProxy(sshd.port);
  const transport = createSshTransport({ resolveSecret: createSecretResolver(() => undefined) });
  const ref = {
    host: "127.0.0.1",
    port: proxy.port,
    privateKey: `file:${sshd.keyPath}`,
    hostKey: sshd.hostKeys.ed25519,
    dialErrorLimit: 1,
  };
  await transport.run("gw-1", ref, "true");
  proxy.cutAfter(direction, bytes);
  const error = await transport.run("gw-1", ref, script(marker)).then(
    () => undefined,
    (reason: NodeError) => reason,
  );
  await transport.close();
  await proxy.stop();
  await nothingLeftOf(marker);
  if (!existsSync(marker)) return { error, ran: "not at all" };
  return { error, ran: readFileSync(marker, "utf8") === whole ? "to its end" : "in part" };
}

/** Waits until the node has put away what it had of the script. */
async function nothingLeftOf(marker: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const left = readdirSync("/run").filter(
      (name) => name.startsWith("egw-run.") && mayHold(`/run/${name}/script`, marker),
    );
    if (left.length === 0) return;
    await sleep(20);
  }
  throw new Error(`the node still has the directory of ${marker}`);
}

function mayHold(path: string, marker: string): boolean {
  try {
    const text = readFileSync(path, "utf8");
    return text === "" || text.includes(marker);
  } catch {
    return false;
  }
}

const everyKB = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => (from + i) * 1_000);

test("a connection cut at every kB of a script leaves it not run at all or run to its end", async () => {
  const size = Buffer.byteLength(script(`${sshd.dir}/marker-upload-0000`));
  expect(size).toBeGreaterThan(16_000);
  const cuts = await Promise.all(everyKB(0, 16).map((bytes) => runAndCut("upload", bytes)));
  expect(cuts.map(({ ran }) => ran)).toEqual(cuts.map(() => "not at all"));
  for (const { error } of cuts.slice(1)) expect(error).toMatchObject({ name: "NodeError", kind: "unreachable" });
  // Cut before the first byte the connection is only found dead: the run connects again, to be cut again.
  expect(cuts[0]?.error).toMatchObject({ kind: "unreachable" });
}, 20_000);

test("a connection cut at every kB of an answer gives no part of it, and the script has run to its end", async () => {
  const cuts = await Promise.all(everyKB(1, 12).map((bytes) => runAndCut("download", bytes)));
  expect(cuts.map(({ ran }) => ran)).toEqual(cuts.map(() => "to its end"));
  for (const { error } of cuts) {
    expect(error).toMatchObject({ kind: "unreachable" });
    expect(error?.message).toMatch(
      /^node gw-1: .*; the command may still be running on the node, so read its state again$/,
    );
  }
}, 20_000);

test("an answer that came whole is given even if the connection is lost right after", async () => {
  const { error, ran } = await runAndCut("download", 20_000);
  expect([error, ran]).toEqual([undefined, "to its end"]);
});
