import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A real sshd of this test alone, on 127.0.0.1. Root logs in with the key at `keyPath`. */
export interface Sshd {
  readonly port: number;
  readonly dir: string;
  readonly keyPath: string;
  readonly otherKeyPath: string;
  /** With the passphrase "open sesame", authorized too. */
  readonly lockedKeyPath: string;
  /** Public key lines of the server, by type. */
  readonly hostKeys: { readonly ed25519: string; readonly rsa: string };
  /** A known_hosts file of its own with the given lines. */
  knownHosts(...lines: string[]): string;
  /** The connections that the server holds. */
  connections(): number;
  /** Ends all sessions, as a restart of the machine would; the server stays. */
  dropSessions(): void;
  stop(): Promise<void>;
}

export interface SshdOptions {
  /** More lines for sshd_config. */
  readonly config?: readonly string[];
  /** What root's ~/.bashrc is to hold. */
  readonly bashrc?: string;
  /** Users that only this server knows, in a mount namespace of its own: login shell, password, number. */
  readonly users?: Readonly<
    Record<string, { readonly shell: string; readonly password?: string; readonly uid?: number }>
  >;
  /** Commands that come before all others in the PATH of a session. */
  readonly commands?: Readonly<Record<string, string>>;
}

export async function startSshd({
  config = [],
  bashrc = "",
  users = {},
  commands = {},
}: SshdOptions = {}): Promise<Sshd> {
  const dir = mkdtempSync(join(tmpdir(), "egw-sshd-"));
  const file = (name: string): string => join(dir, name);
  const keygen = (name: string, type: string, passphrase = ""): string => {
    execFileSync("ssh-keygen", [
      "-q",
      "-t",
      type,
      ...(type === "rsa" ? ["-b", "2048"] : []),
      "-N",
      passphrase,
      "-C",
      "test",
      "-f",
      file(name),
    ]);
    return file(name);
  };
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  chmodSync(dir, 0o755);
  mkdirSync(file("home"));
  mkdirSync(file("bin"));
  writeFileSync(file("home/.bashrc"), bashrc);
  for (const [name, text] of Object.entries(commands)) writeFileSync(file(`bin/${name}`), text, { mode: 0o755 });
  keygen("host_ed25519", "ed25519");
  keygen("host_rsa", "rsa");
  const keys = [keygen("user", "ed25519"), keygen("locked", "ed25519", "open sesame")];
  keygen("other", "ed25519");
  writeFileSync(file("authorized_keys"), keys.map((key) => readFileSync(`${key}.pub`, "utf8")).join(""));
  const port = await freePort();
  writeFileSync(
    file("sshd_config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${file("host_ed25519")}`,
      `HostKey ${file("host_rsa")}`,
      `AuthorizedKeysFile ${file("authorized_keys")}`,
      "PermitRootLogin prohibit-password",
      "StrictModes no",
      "UsePAM no",
      "PidFile none",
      // A HOME of the test's own, so that root's real start files stay out of it.
      `SetEnv HOME=${file("home")} PATH=${file("bin")}:/usr/sbin:/usr/bin:/sbin:/bin`,
      ...config,
      "",
    ].join("\n"),
  );
  chmodSync(file("sshd_config"), 0o600);
  writeFileSync(file("passwd"), readFileSync("/etc/passwd", "utf8") + passwdLines(users, file("home")));
  const server = spawn(
    "unshare",
    [
      "-m",
      "sh",
      "-c",
      'mount --bind "$1/passwd" /etc/passwd && exec /usr/sbin/sshd -D -e -f "$1/sshd_config"',
      "-",
      dir,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  server.stderr?.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  await listening(server, port, () => log);
  const publicKey = (name: string): string =>
    readFileSync(`${file(name)}.pub`, "utf8")
      .split(" ")
      .slice(0, 2)
      .join(" ");
  let files = 0;
  return {
    port,
    dir,
    keyPath: file("user"),
    otherKeyPath: file("other"),
    lockedKeyPath: file("locked"),
    hostKeys: { ed25519: publicKey("host_ed25519"), rsa: publicKey("host_rsa") },
    knownHosts(...lines) {
      const path = file(`known_hosts_${files++}`);
      writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
      return path;
    },
    connections: () => childrenOf(server.pid as number).length,
    dropSessions() {
      for (const pid of childrenOf(server.pid as number)) process.kill(pid, "SIGKILL");
    },
    async stop() {
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGKILL");
      await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function passwdLines(users: NonNullable<SshdOptions["users"]>, home: string): string {
  const lines = Object.entries(users).map(([name, { shell, password, uid = 64_001 }]) => {
    const hash =
      password === undefined ? "*" : execFileSync("openssl", ["passwd", "-6", password], { encoding: "utf8" }).trim();
    return `${name}:${hash}:${uid}:${uid}::${home}:${shell}\n`;
  });
  return lines.join("");
}

/** The processes that `pid` has started. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function listening(server: ChildProcess, port: number, log: () => string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (server.exitCode !== null) break;
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (up) return;
    await sleep(10);
  }
  server.kill("SIGKILL");
  throw new Error(`sshd did not start: ${log()}`);
}
