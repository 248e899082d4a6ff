import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionRef } from "../../provider/model/connection";
import { createSecretResolver } from "../../provider/transport/secrets";
import { createSshTransport } from "../../provider/transport/ssh";
import type { Transport } from "../../provider/transport/transport";
import { startCutProxy } from "../unit/transport/cut-proxy";
import { type Sshd, startSshd } from "../unit/transport/sshd";

let sshd: Sshd;
let transport: Transport;

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());
beforeEach(() => {
  transport = createSshTransport({ resolveSecret: createSecretResolver(() => undefined) });
});
afterEach(() => transport.close());

const ref = (change: Partial<ConnectionRef> = {}): ConnectionRef => ({
  host: "127.0.0.1",
  port: sshd.port,
  privateKey: `file:${sshd.keyPath}`,
  hostKey: sshd.hostKeys.ed25519,
  dialErrorLimit: 1,
  ...change,
});
const times = <T>(n: number, make: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => make(i)));

test("a script runs on the node and gives its code, stdout and stderr, all counted", async () => {
  const script = "echo out; echo é >&2; exit 7";
  expect(await transport.run("gw-1", ref(), script)).toEqual({ code: 7, stdout: "out\n", stderr: "é\n" });
  expect(transport.counters("gw-1")).toEqual({ handshakes: 1, roundTrips: 1, bytesOut: 29, bytesIn: 7 });
  await transport.run("gw-1", ref(), "true");
  expect(transport.counters("gw-1")).toEqual({ handshakes: 1, roundTrips: 2, bytesOut: 33, bytesIn: 7 });
  expect(transport.counters("gw-2")).toEqual({ handshakes: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 });
});

test("the script gets a clean environment, no input and no trace of its directory stays", async () => {
  const { stdout } = await transport.run("gw-1", ref(), 'echo "$0"; env | sort; cat; dirname "$0"');
  const [path, ...env] = stdout.trim().split("\n");
  expect(env.join(" ")).toMatch(/^LC_ALL=C PATH=\S+ PWD=\S+ \/run\/egw-run\.[0-9a-f]{32}$/);
  expect(path).toMatch(/^\/run\/egw-run\.[0-9a-f]{32}\/script$/);
  expect(existsSync(String(path))).toBe(false);
});

test("2 MB of script and 1 MB of output travel unchanged", async () => {
  const text = Array.from({ length: 40_000 }, (_, i) => `line ${i} of a large script, ${i * i}`).join("\n");
  const { stdout, code } = await transport.run(
    "gw-1",
    ref(),
    `cat <<'EOT' | head -c 1000000\n${text.padEnd(2_000_000)}\nEOT\n`,
  );
  expect(code).toBe(0);
  expect(stdout === text.padEnd(2_000_000).slice(0, 1_000_000)).toBe(true);
});

test("a script that ends by a signal or leaves a process behind still gives its answer", async () => {
  expect(await transport.run("gw-1", ref(), "echo before; kill -9 $$")).toMatchObject({
    code: 137,
    stdout: "before\n",
  });
  const started = Date.now();
  const { stdout } = await transport.run("gw-1", ref(), "(sleep 2; echo late) & echo now");
  expect([stdout, Date.now() - started < 1_500]).toEqual(["now\n", true]);
});

test("30 runs at once on one node share one connection and stay below MaxSessions", async () => {
  const results = await times(30, (i) => transport.run("gw-1", ref(), `sleep 0.1; echo ${i}`));
  expect(results.map(({ stdout }) => Number(stdout))).toEqual([...Array(30).keys()]);
  expect(transport.counters("gw-1")).toMatchObject({ handshakes: 1, roundTrips: 30 });
});

test("a server that allows two sessions is used with two", async () => {
  const strict = await startSshd({ config: ["MaxSessions 2"] });
  try {
    const there = ref({ port: strict.port, privateKey: `file:${strict.keyPath}`, hostKey: strict.hostKeys.ed25519 });
    const results = await times(12, (i) => transport.run("gw-1", there, `sleep 0.05; echo ${i}`));
    expect(results.map(({ stdout }) => Number(stdout))).toEqual([...Array(12).keys()]);
    expect(transport.counters("gw-1")).toMatchObject({ handshakes: 1, roundTrips: 12 });
  } finally {
    await strict.stop();
  }
});

test("a connection that the server has closed is made again, noticed or not", async () => {
  await transport.run("gw-1", ref(), "true");
  sshd.dropSessions();
  expect(await transport.run("gw-1", ref(), "echo at once")).toMatchObject({ stdout: "at once\n" });
  sshd.dropSessions();
  await sleep(50);
  expect(await transport.run("gw-1", ref(), "echo later")).toMatchObject({ stdout: "later\n" });
  expect(transport.counters("gw-1")).toMatchObject({ handshakes: 3, roundTrips: 3 });
});

test("after close a run connects again", async () => {
  await transport.run("gw-1", ref(), "true");
  await transport.close();
  await transport.run("gw-1", ref(), "true");
  expect(transport.counters("gw-1").handshakes).toBe(2);
});

test("close ends a dial under way", async () => {
  const running = transport.run("gw-1", ref({ port: await closedPort(), dialErrorLimit: 10 }), "true");
  const failed = expect(running).rejects.toMatchObject({
    kind: "unreachable",
    message: "node gw-1: the transport was closed while it connected",
  });
  await sleep(150);
  await transport.close();
  await failed;
});

test("a run over its time limit says what is unknown; its neighbour and the script itself go on", async () => {
  const marker = `${sshd.dir}/ran-on`;
  const neighbour = transport.run("gw-1", ref(), "sleep 0.5; echo fine");
  await expect(
    transport.run("gw-1", ref(), `sleep 1.2; echo done > ${marker}.new; mv ${marker}.new ${marker}`, {
      timeoutMs: 300,
    }),
  ).rejects.toMatchObject({
    kind: "unreachable",
    node: "gw-1",
    message: "node gw-1: no answer within 0.3 s; the command may still be running on the node",
  });
  expect(await neighbour).toMatchObject({ stdout: "fine\n" });
  while (sshd.connections() > 0) await sleep(10);
  expect(existsSync(marker)).toBe(false);
  while (!existsSync(marker)) await sleep(10);
  expect(readFileSync(marker, "utf8")).toBe("done\n");
  await transport.run("gw-1", ref(), "true");
  expect(transport.counters("gw-1").handshakes).toBe(2);
});

test("a time limit that ends before the program was sent says that nothing ran", async () => {
  const silent = createServer().listen(0, "127.0.0.1");
  try {
    const there = ref({ port: await portOf(silent) });
    await expect(transport.run("gw-1", there, "true", { timeoutMs: 100 })).rejects.toThrow(
      "node gw-1: no answer within 0.1 s; nothing was run on the node",
    );
  } finally {
    silent.close();
    await transport.close();
  }
});

test("a node that comes up late is dialled again until it is there", async () => {
  const port = await closedPort();
  const running = transport.run("gw-1", ref({ port, dialErrorLimit: 10 }), "echo up");
  await sleep(250);
  const proxy = await startCutProxy(sshd.port, port);
  try {
    expect(await running).toMatchObject({ stdout: "up\n" });
    await transport.close();
  } finally {
    await proxy.stop();
  }
});

test("a server that lets in two at a time is reached by twelve", async () => {
  const strict = await startSshd({ config: ["MaxStartups 2:100:2"] });
  const there = ref({
    port: strict.port,
    privateKey: `file:${strict.keyPath}`,
    hostKey: strict.hostKeys.ed25519,
    dialErrorLimit: 10,
  });
  try {
    const results = await times(12, (i) => transport.run(`gw-${i}`, there, `echo ${i}`));
    expect(results.map(({ stdout }) => Number(stdout))).toEqual([...Array(12).keys()]);
    await transport.close();
  } finally {
    await strict.stop();
  }
});

test("nobody listening is said in one sentence, with the attempts", async () => {
  const port = await closedPort();
  await expect(transport.run("gw-1", ref({ port, dialErrorLimit: 2 }), "true")).rejects.toMatchObject({
    kind: "unreachable",
    message: `node gw-1: 127.0.0.1:${port} refused the connection; start sshd there or correct host and port (2 attempts)`,
    cause: expect.objectContaining({ cause: expect.objectContaining({ code: "ECONNREFUSED" }) }),
  });
});

test("a server that says nothing is given up after perDialTimeout", async () => {
  const silent = createServer().listen(0, "127.0.0.1");
  const port = await portOf(silent);
  try {
    await expect(transport.run("gw-1", ref({ port, perDialTimeout: 0.2 }), "true")).rejects.toThrow(
      `127.0.0.1:${port} took the connection but did not let us in within 0.2 s; check its load and its sshd`,
    );
  } finally {
    silent.close();
  }
});

test("a name that does not resolve is said", async () => {
  await expect(transport.run("gw-1", ref({ host: "gw-1.invalid" }), "true")).rejects.toThrow(
    /the name gw-1\.invalid cannot be resolved \(E\w+\); correct connection\.host or give an address/,
  );
});

async function portOf(server: Server): Promise<number> {
  if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  const port = await portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
