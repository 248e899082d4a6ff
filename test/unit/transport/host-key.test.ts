import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHostKeyCheck, fingerprint } from "../../../provider/transport/host-key";

const blob = (type: string, body: string): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 0, type.length]), Buffer.from(type + body)]);
const line = (key: Buffer): string => `${key.toString("latin1", 4, 4 + (key[3] ?? 0))} ${key.toString("base64")}`;

const mine = blob("ssh-ed25519", "mine");
const rsa = blob("ssh-rsa", "mine");
const other = blob("ssh-ed25519", "other");

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "egw-host-key-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const refusal = async (knownHosts: string[], key: Buffer, port = 22): Promise<string | undefined> => {
  const path = join(dir, "known_hosts");
  writeFileSync(path, knownHosts.join("\n"));
  const check = await createHostKeyCheck({ host: "gw-1", port, knownHosts: path });
  return check.refusal(key)?.replaceAll(path, "FILE");
};

test.each([
  ["its entry", [`gw-1 ${line(mine)}`], 22],
  ["one of its entries", [`gw-1 ${line(other)}`, `gw-1 ${line(mine)}`], 22],
  ["its entry with the port", [`[gw-1]:2222 ${line(mine)}`], 2222],
  ["its entry without the port", [`gw-1 ${line(mine)}`], 2222],
])("known_hosts vouches by %s", async (_, lines, port) => {
  expect(await refusal(lines, mine, port)).toBeUndefined();
});

test("an unknown key is refused with its fingerprint and both ways out", async () => {
  expect(await refusal([`gw-2 ${line(mine)}`], mine, 2222)).toBe(
    `the host key of gw-1:2222 is unknown: it shows ssh-ed25519 ${fingerprint(mine)} and FILE has no key for it; compare the fingerprint on the node, then set hostKey: "${fingerprint(mine)}" or run ssh-keyscan -p 2222 gw-1 >> FILE`,
  );
});

test("a changed key is refused and both keys are named", async () => {
  expect(await refusal([`gw-1 ${line(other)}`, `gw-1 ${line(rsa)}`], mine)).toBe(
    `gw-1:22 shows the host key ssh-ed25519 ${fingerprint(mine)}, but FILE has ssh-ed25519 ${fingerprint(other)}, ssh-rsa ${fingerprint(rsa)}; if the node was reinstalled, run ssh-keygen -R "gw-1" -f FILE and accept the new key, otherwise somebody is in between`,
  );
});

test("a revoked key is refused although another line accepts it", async () => {
  expect(await refusal([`gw-1 ${line(mine)}`, `@revoked * ${line(mine)}`], mine)).toMatch(/is marked @revoked in FILE/);
});

test("a @cert-authority entry vouches for nothing, and the refusal says so", async () => {
  expect(await refusal([`@cert-authority * ${line(mine)}`], mine)).toMatch(/host certificates are not supported/);
});

test("a known_hosts file that is not there is an empty one", async () => {
  const check = await createHostKeyCheck({ host: "gw-1", knownHosts: join(dir, "none") });
  expect(check.refusal(mine)).toMatch(/is unknown/);
});

test.each([
  ["a public key line", line(mine)],
  ["a public key line with a comment", `${line(mine)} root@gw-1\n`],
  ["a fingerprint", fingerprint(mine)],
  ["a padded fingerprint", `${fingerprint(mine)}=`],
])("hostKey as %s vouches for that key alone", async (_, hostKey) => {
  const check = await createHostKeyCheck({ host: "gw-1", hostKey });
  expect(check.refusal(mine)).toBeUndefined();
  expect(check.refusal(other)).toContain(`${fingerprint(other)}, but hostKey names ${fingerprint(mine)}`);
});

test.each(["", "SHA256:", "MD5:aa:bb", "ssh-ed25519", "ssh-rsa AAAA", `ssh-rsa ${mine.toString("base64")}`])(
  "hostKey %j is refused as none",
  async (hostKey) => {
    await expect(createHostKeyCheck({ host: "gw-1", hostKey })).rejects.toThrow(
      /neither an OpenSSH public key line nor "SHA256:…"; print it on the node with ssh-keygen/,
    );
  },
);

test("the algorithms of the expected keys are offered first, all others after them", async () => {
  const { algorithms } = await createHostKeyCheck({ host: "gw-1", hostKey: line(rsa) });
  expect(algorithms).toEqual([
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
  ]);
});
