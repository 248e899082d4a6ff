import { readFileSync, writeFileSync } from "node:fs";
import type { ConnectionRef } from "../../provider/model/connection";
import { createSecretResolver } from "../../provider/transport/secrets";
import { createSshTransport } from "../../provider/transport/ssh";
import type { Transport } from "../../provider/transport/transport";
import { type Sshd, startSshd } from "../unit/transport/sshd";

/** What stands between sshd and our program: login shells, their start files, sudo. */
const SUDO = `#!/bin/sh
if [ "$1" = -n ] && [ "$(id -u)" = 0 ]; then shift; echo "$USER: $*" >>"$HOME/sudo.log"; exec "$@"; fi
echo "sudo: a password is required" >&2
exit 1
`;

let sshd: Sshd;
let transport: Transport;

beforeAll(async () => {
  sshd = await startSshd({
    config: ["PasswordAuthentication yes"],
    users: {
      guest: { shell: "/bin/dash" },
      operator: { shell: "/bin/bash", password: "open sesame" },
      admin: { shell: "/bin/dash", uid: 0 },
      locked: { shell: "/usr/sbin/nologin" },
    },
    commands: { sudo: SUDO },
  });
  process.env.EGW_TEST_PASSWORD = "open sesame";
});
afterAll(() => {
  delete process.env.EGW_TEST_PASSWORD;
  return sshd.stop();
});
beforeEach(() => {
  transport = createSshTransport({ resolveSecret: createSecretResolver(() => undefined) });
});
afterEach(async () => {
  writeFileSync(`${sshd.dir}/home/.bashrc`, "");
  await transport.close();
});

const ref = (change: Partial<ConnectionRef> = {}): ConnectionRef => ({
  host: "127.0.0.1",
  port: sshd.port,
  privateKey: `file:${sshd.keyPath}`,
  hostKey: sshd.hostKeys.ed25519,
  dialErrorLimit: 1,
  ...change,
});
const bashrc = (text: string): void => writeFileSync(`${sshd.dir}/home/.bashrc`, text);

test("noise of ~/.bashrc on both outputs is no part of the answer", async () => {
  bashrc(
    "echo hello; echo egw >&2; printf 'no line end'; trap 'echo bye' EXIT; alias sh=false; export PATH=/nowhere LC_ALL=de_DE",
  );
  // With a PATH that holds nothing, not even env is found: that is the node's to mend.
  await expect(transport.run("gw-1", ref(), "echo out")).rejects.toMatchObject({ kind: "rejected" });
  bashrc("echo hello; echo egw >&2; printf 'no line end'; trap 'echo bye' EXIT; alias sh=false; export LC_ALL=de_DE");
  expect(await transport.run("gw-1", ref(), "echo out; echo err >&2")).toEqual({
    code: 0,
    stdout: "out\n",
    stderr: "err\n",
  });
});

test("a ~/.bashrc that reads the input is found out: nothing runs", async () => {
  bashrc("head -c 5 >/dev/null");
  await expect(transport.run("gw-1", ref(), "echo out")).rejects.toMatchObject({
    kind: "rejected",
    message:
      "node gw-1: only 3 of 8 bytes of the program arrived and nothing was run on the node; check the space in /run and that no start file of the login shell reads its input",
  });
});

test("a ~/.bashrc that ends the shell is said, with its last words", async () => {
  bashrc("echo maintenance >&2; exit 3");
  await expect(transport.run("gw-1", ref(), "echo out")).rejects.toMatchObject({
    kind: "rejected",
    message:
      "node gw-1: the login shell did not start the program (exit code 3: maintenance); give root a shell such as /bin/bash there",
  });
});

test("an account without a shell is said", async () => {
  await expect(transport.run("gw-1", ref({ user: "locked" }), "true")).rejects.toThrow(
    "node gw-1: the login shell did not start the program (exit code 1); give locked a shell such as /bin/bash there",
  );
});

test("a user that is not root goes through sudo -n, root does not, and sudo: true or false decides", async () => {
  const log = `${sshd.dir}/home/sudo.log`;
  for (const change of [{ user: "admin" }, {}, { sudo: true }, { user: "admin", sudo: false }]) {
    expect(await transport.run("gw-1", ref(change), "echo out; env | grep -c ^")).toMatchObject({
      code: 0,
      stdout: "out\n3\n",
    });
  }
  expect(readFileSync(log, "utf8")).toMatch(/^admin: env -i .*\nroot: env -i .*\n$/);
});

test("a sudo that asks for a password is said, with the line that mends it", async () => {
  await expect(transport.run("gw-1", ref({ user: "guest" }), "true")).rejects.toMatchObject({
    kind: "rejected",
    message:
      'node gw-1: sudo -n was refused for guest: sudo: a password is required; allow it with the line "guest ALL=(root) NOPASSWD: ALL" in /etc/sudoers.d, or log in as root',
  });
});

test("a password logs in where the key is refused; without root there is no directory in /run", async () => {
  const connection = ref({
    user: "operator",
    privateKey: `file:${sshd.otherKeyPath}`,
    password: "env:EGW_TEST_PASSWORD",
    sudo: false,
  });
  await expect(transport.run("gw-1", connection, "true")).rejects.toMatchObject({
    kind: "rejected",
    message: expect.stringMatching(
      /^node gw-1: no directory can be made in \/run and nothing was run on the node: mkdir: .*Permission denied; log in as root or set sudo: true$/,
    ),
  });
});
