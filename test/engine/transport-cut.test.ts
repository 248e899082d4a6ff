import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionRef } from "../../provider/model/connection";
import type { NodeError } from "../../provider/transport/errors";
import { createSecretResolver } from "../../provider/transport/secrets";
import { createSshTransport } from "../../provider/transport/ssh";
import { type CutProxy, startCutProxy } from "../unit/transport/cut-proxy";
import { type Sshd, startSshd } from "../unit/transport/sshd";

/**
 * Every line of the script leaves a line in the marker file, so a shell that runs what has arrived so far shows:
 * whatever is cut where, the file is not there, or it is whole. With `width` it spans several SSH packets, of which
 * none arrives in part; it pauses in the middle, so that a cut can meet it running.
 */
const LINES = 200;
const script = (marker: string, width: number): string =>
  Array.from(
    { length: LINES },
    (_, i) => `${i === LINES / 2 ? "sleep 0.2; " : ""}echo ${i} >>${marker}; echo "${i} ${".".repeat(width)}"\n`,
  ).join("");
const whole = `${[...Array(LINES).keys()].join("\n")}\n`;

interface Cut {
  readonly error: NodeError | undefined;
  readonly ran: "not at all" | "to its end" | "in part";
}

let sshd: Sshd;
/** What others have left in /run. */
let before: Set<string>;
beforeAll(async () => {
  before = new Set(readdirSync("/run"));
  sshd = await startSshd({ config: ["MaxStartups 100"] });
});
afterAll(() => sshd.stop());

/** Runs the script over a connection that `cut` ends. */
async function runAndCut(name: string, width: number, cut: (proxy: CutProxy) => void): Promise<Cut> {
  const marker = `${sshd.dir}/marker-${name}`;
  const proxy = await startCutProxy(sshd.port);
  const transport = createSshTransport({ resolveSecret: createSecretResolver(() => undefined) });
  const ref = refTo(proxy);
  try {
    await transport.run("gw-1", ref, "true");
    cut(proxy);
    const error = await transport.run("gw-1", ref, script(marker, width)).then(
      () => undefined,
      (reason: NodeError) => reason,
    );
    return { error, ran: await whatRan(marker) };
  } finally {
    await transport.close();
    await proxy.stop();
  }
}

async function whatRan(marker: string): Promise<Cut["ran"]> {
  await nothingLeftOf(marker);
  if (!existsSync(marker)) return "not at all";
  return readFileSync(marker, "utf8") === whole ? "to its end" : "in part";
}

const refTo = (proxy: CutProxy): ConnectionRef => ({
  host: "127.0.0.1",
  port: proxy.port,
  privateKey: `file:${sshd.keyPath}`,
  hostKey: sshd.hostKeys.ed25519,
  dialErrorLimit: 1,
});

/** Waits until the node has put away what it had of the script. */
async function nothingLeftOf(marker: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const left = readdirSync("/run").filter(
      (name) => name.startsWith("egw-run.") && !before.has(name) && mayHold(`/run/${name}/script`, marker),
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

const every = (step: number, from: number, to: number): number[] =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);

test.each([
  ["kB of a small script", 40, 1_000],
  ["8 kB of a large one", 800, 8_000],
])(
  "a connection cut at every %s leaves it not run at all or run to its end",
  async (_, width, step) => {
    const size = Buffer.byteLength(script(`${sshd.dir}/marker-${width}-000000`, width));
    const at = every(step, 0, size + 2 * step);
    const cuts = await Promise.all(
      at.map((bytes) => runAndCut(`${width}-${bytes}`, width, (proxy) => proxy.cutAfter("upload", bytes))),
    );
    const ran = cuts.map((cut) => cut.ran);
    expect(ran).toEqual(
      at.map((bytes) => (bytes <= size ? "not at all" : expect.stringMatching(/^(not at all|to its end)$/))),
    );
    for (const [i, cut] of cuts.entries()) {
      if (cut.ran === "not at all")
        expect([at[i], cut.error]).toEqual([at[i], expect.objectContaining({ kind: "unreachable" })]);
    }
  },
  20_000,
);

test("a connection cut at every 8 kB of an answer gives no part of it, and the script has run to its end", async () => {
  const at = every(8_000, 1_000, 160_000);
  const cuts = await Promise.all(
    at.map((bytes) => runAndCut(`answer-${bytes}`, 800, (proxy) => proxy.cutAfter("download", bytes))),
  );
  for (const { error, ran } of cuts) {
    expect(ran).toBe("to its end");
    expect(error).toMatchObject({ kind: "unreachable" });
    expect(error?.message).toMatch(
      /^node gw-1: .*; the command may still be running on the node, so read its state again$/,
    );
  }
}, 20_000);

test("a script that runs when the connection is cut goes on to its end", async () => {
  const cutWhenItRuns = async (proxy: CutProxy): Promise<void> => {
    while (!existsSync(`${sshd.dir}/marker-running`)) await sleep(2);
    proxy.cutAfter("download", 0);
  };
  const { error, ran } = await runAndCut("running", 40, (proxy) => void cutWhenItRuns(proxy));
  expect(error?.message).toBe(
    "node gw-1: the connection was lost before an answer came; the command may still be running on the node, so read its state again",
  );
  expect(ran).toBe("to its end");
});

test("an answer that came whole is given even if the connection is lost right after", async () => {
  const { error, ran } = await runAndCut("whole", 40, (proxy) => proxy.cutAfter("download", 20_000));
  expect([error, ran]).toEqual([undefined, "to its end"]);
});

test("a script that is still on its way when its time is over does not run later", async () => {
  const marker = `${sshd.dir}/late`;
  const proxy = await startCutProxy(sshd.port);
  const transport = createSshTransport({ resolveSecret: createSecretResolver(() => undefined) });
  const ref = refTo(proxy);
  try {
    await transport.run("gw-1", ref, "true");
    const neighbour = transport.run("gw-1", ref, "sleep 1; echo fine");
    await sleep(200);
    proxy.holdAfter(1_000_000);
    // More than a channel's window of 2 MB, so that the end of it has not left this process.
    const large = `echo ran >${marker}\n${"# filler\n".repeat(400_000)}`;
    await expect(transport.run("gw-1", ref, large, { timeoutMs: 300 })).rejects.toThrow(/no answer within 0\.3 s/);
    proxy.release();
    expect(await neighbour).toMatchObject({ stdout: "fine\n" });
    await nothingLeftOf(marker);
    expect(existsSync(marker)).toBe(false);
  } finally {
    await transport.close();
    await proxy.stop();
  }
});
