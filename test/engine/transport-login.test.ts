import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionRef } from "../../provider/model/connection";
import { createSecretResolver } from "../../provider/transport/secrets";
import { createSshTransport } from "../../provider/transport/ssh";
import type { Transport } from "../../provider/transport/transport";
import { startCutProxy } from "../unit/transport/cut-proxy";
import { type Sshd, startSshd } from "../unit/transport/sshd";

let sshd: Sshd;
let transport: Transport;
const config: Record<string, string> = {};

beforeAll(async () => {
  sshd = await startSshd();
  config["egress:passphrase"] = "open sesame";
  config["egress:key"] = readFileSync(sshd.keyPath, "utf8");
  config["egress:rubbish"] = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----";
});
afterAll(() => sshd.stop());
beforeEach(() => {
  transport = createSshTransport({ resolveSecret: createSecretResolver((key) => config[key]) });
});
afterEach(() => transport.close());

type Change = { [Field in keyof ConnectionRef]?: ConnectionRef[Field] | undefined };
const ref = (change: Change = {}): ConnectionRef => {
  const all = {
    host: "127.0.0.1",
    port: sshd.port,
    privateKey: "config:key",
    hostKey: sshd.hostKeys.ed25519,
    dialErrorLimit: 1,
  };
  return Object.fromEntries(
    Object.entries({ ...all, ...change }).filter(([, value]) => value !== undefined),
  ) as unknown as ConnectionRef;
};
const byKnownHosts = (...lines: string[]): ConnectionRef =>
  ref({ hostKey: undefined, knownHosts: sshd.knownHosts(...lines) });
const fingerprint = (line: string): string =>
  `SHA256:${createHash("sha256")
    .update(Buffer.from(line.split(" ")[1] ?? "", "base64"))
    .digest("base64")
    .replace(/=+$/, "")}`;
const otherHostKey = (): string => readFileSync(`${sshd.otherKeyPath}.pub`, "utf8");
const messageOf = async (connection: ConnectionRef): Promise<string> => {
  const error: unknown = await transport.run("gw-1", connection, "true").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: "NodeError", kind: "unreachable" });
  expect(transport.counters("gw-1").roundTrips).toBe(0);
  return (error as Error).message;
};
const logsIn = async (connection: ConnectionRef): Promise<void> => {
  expect(await transport.run("gw-1", connection, "echo in")).toMatchObject({ stdout: "in\n" });
};

describe("the host key", () => {
  const name = (): string => `[127.0.0.1]:${sshd.port}`;

  test("is taken by its fingerprint", () => logsIn(ref({ hostKey: fingerprint(sshd.hostKeys.ed25519) })));
  test("is taken by its known_hosts line", () => logsIn(byKnownHosts(`${name()} ${sshd.hostKeys.ed25519}`)));
  test("of another type is asked for where known_hosts has only that", () =>
    logsIn(byKnownHosts(`${name()} ${sshd.hostKeys.rsa}`)));

  test("is taken by a hashed known_hosts line, made by ssh-keygen", async () => {
    const knownHosts = sshd.knownHosts(`other ${sshd.hostKeys.rsa}`, `${name()} ${sshd.hostKeys.ed25519}`);
    execFileSync("ssh-keygen", ["-H", "-f", knownHosts], { stdio: "ignore" });
    expect(readFileSync(knownHosts, "utf8")).toMatch(/^\|1\|/);
    await logsIn(ref({ hostKey: undefined, knownHosts }));
  });

  test("that nobody vouches for is refused with its fingerprint and the way out, at once", async () => {
    const connection = { ...byKnownHosts(), dialErrorLimit: 10 };
    expect(await messageOf(connection)).toBe(
      `node gw-1: the host key of 127.0.0.1:${sshd.port} is unknown: it shows ssh-ed25519 ${fingerprint(sshd.hostKeys.ed25519)} and ${connection.knownHosts} has no key for it; compare the fingerprint on the node, then set hostKey: "${fingerprint(sshd.hostKeys.ed25519)}" or run ssh-keyscan -p ${sshd.port} 127.0.0.1 >> ${connection.knownHosts}`,
    );
  });

  test("that has changed is refused and both are named", async () => {
    const was = otherHostKey();
    for (const connection of [byKnownHosts(`${name()} ${was}`), ref({ hostKey: was })]) {
      const message = await messageOf({ ...connection, dialErrorLimit: 10 });
      expect(message).toContain(fingerprint(sshd.hostKeys.ed25519));
      expect(message).toContain(fingerprint(was));
      expect(message).toMatch(/somebody is in between$/);
    }
  });
});

describe("the login", () => {
  test("with a key of the stack's config", () => logsIn(ref()));
  test("with a key that has a passphrase", () =>
    logsIn(ref({ privateKey: `file:${sshd.lockedKeyPath}`, privateKeyPassword: "config:passphrase" })));
  test("with a key of an ssh-agent", async () => {
    const socket = `${sshd.dir}/agent`;
    const agent: ChildProcess = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      while (!existsSync(socket)) await sleep(5);
      const env = { ...process.env, SSH_AUTH_SOCK: socket };
      for (const key of [sshd.otherKeyPath, sshd.keyPath]) execFileSync("ssh-add", ["-q", key], { env });
      await logsIn(ref({ privateKey: undefined, agentSocketPath: socket }));
    } finally {
      agent.kill();
    }
  });

  test("that is refused names user, host and references, and is not tried again", async () => {
    const connection = ref({
      privateKey: `file:${sshd.otherKeyPath}`,
      password: "config:passphrase",
      dialErrorLimit: 10,
    });
    expect(await messageOf(connection)).toBe(
      `node gw-1: 127.0.0.1:${sshd.port} refused the login of root@127.0.0.1 (tried privateKey file:${sshd.otherKeyPath}, password config:passphrase); put the public key into that user's authorized_keys or correct user and references`,
    );
    expect(transport.counters("gw-1").handshakes).toBe(1);
  });

  test.each([
    ["without its passphrase", { privateKeyPassword: undefined }, /no passphrase given/],
    ["with a wrong passphrase", { privateKeyPassword: "config:rubbish" }, /bad passphrase|integrity/],
    ["that is none", { privateKey: "config:rubbish" }, /Malformed|Unsupported/],
  ])("with a key %s is refused without a word of it", async (_, change, reason) => {
    const connection = ref({
      privateKey: `file:${sshd.lockedKeyPath}`,
      privateKeyPassword: "config:passphrase",
      ...change,
    });
    const message = await messageOf(connection);
    expect(message).toMatch(reason);
    expect(message).toMatch(/give a whole OpenSSH or PEM private key, and privateKeyPassword if it has a passphrase$/);
    expect(message).not.toMatch(/hunter2|sesame/);
  });

  test("with an agent that is not there is refused by its name", async () => {
    expect(await messageOf(ref({ privateKey: undefined, agentSocketPath: "/run/none" }))).toMatch(
      /the ssh-agent does not work \(Failed to connect to agent; tried agent \/run\/none\); start it or give privateKey$/,
    );
  });

  test("with a reference that is not set names field, reference and way out", async () => {
    expect(await messageOf(ref({ privateKey: "config:none" }))).toBe(
      "node gw-1: privateKey: config:none is not set; run pulumi config set --secret egress:none < keyfile",
    );
  });

  test("with nothing at all is refused", async () => {
    expect(await messageOf(ref({ privateKey: undefined }))).toBe(
      "node gw-1: the connection to 127.0.0.1 names no way to log in; give privateKey, agentSocketPath or password",
    );
  });
});

describe("a jump host", () => {
  const via = (change: Change = {}): ConnectionRef => ref({ proxy: ref(change) });

  test("leads to the node, by one connection for all nodes behind it", async () => {
    const connection = via();
    const names = ["gw-1", "gw-2", "gw-3"];
    await Promise.all(names.map((node) => transport.run(node, connection, "true")));
    const handshakes = names.map((node) => transport.counters(node).handshakes);
    expect(handshakes.reduce((sum, n) => sum + n)).toBe(4);
    expect(sshd.connections()).toBe(4);
  });

  test("has a host key of its own, that is checked", async () => {
    expect(await messageOf(via({ hostKey: otherHostKey() }))).toMatch(
      /^node gw-1: jump host: 127\.0\.0\.1:\d+ shows the host key/,
    );
  });

  test("does not vouch for the node's host key", async () => {
    expect(await messageOf({ ...via(), hostKey: otherHostKey() })).toMatch(
      /^node gw-1: 127\.0\.0\.1:\d+ shows the host key/,
    );
  });

  test("that cannot reach the node is no riddle", async () => {
    expect(await messageOf({ ...via(), port: 1 })).toBe(
      "node gw-1: 127.0.0.1:1 refused the connection; start sshd there or correct host and port",
    );
  });

  test("that breaks is dialled again by the next run", async () => {
    const proxy = await startCutProxy(sshd.port);
    try {
      const connection = via({ port: proxy.port });
      await transport.run("gw-1", connection, "true");
      proxy.cutAfter("upload", 0);
      proxy.cutAfter("upload", Number.POSITIVE_INFINITY);
      await logsIn(connection);
      expect(transport.counters("gw-1").handshakes).toBe(4);
    } finally {
      await transport.close();
      await proxy.stop();
    }
  });
});
