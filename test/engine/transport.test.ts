import type { ConnectionRef } from "../../provider/model/connection";
import { createSecretResolver } from "../../provider/transport/secrets";
import { createSshTransport } from "../../provider/transport/ssh";
import type { Transport } from "../../provider/transport/transport";
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

test("a script runs on the node and gives its code, stdout and stderr", async () => {
  const result = await transport.run("gw-1", ref(), "echo out; echo err >&2; exit 7");
  expect(result).toEqual({ code: 7, stdout: "out\n", stderr: "err\n" });
  expect(transport.counters("gw-1")).toEqual({ handshakes: 1, roundTrips: 1, bytesOut: 30, bytesIn: 8 });
});

test("2 MB of script and 1 MB of output travel unchanged", async () => {
  const body = `: <<'EOT'\n${"x".repeat(2_000_000)}\nEOT\nhead -c 1000000 /dev/zero | tr '\\0' o\n`;
  const { stdout, code } = await transport.run("gw-1", ref(), body);
  expect([code, stdout.length]).toEqual([0, 1_000_000]);
});

test("a host key that nobody vouches for is refused, with its fingerprint and the way out", async () => {
  const knownHosts = sshd.knownHosts();
  await expect(transport.run("gw-1", { ...ref(), hostKey: undefined as never, knownHosts }, "true")).rejects.toThrow(
    /^node gw-1: the host key of 127\.0\.0\.1:\d+ is unknown: it shows ssh-ed25519 SHA256:.{43} .* set hostKey: "SHA256:.{43}" or run ssh-keyscan -p \d+ 127\.0\.0\.1 >> /,
  );
});
