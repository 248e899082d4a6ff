import { createHmac } from "node:crypto";
import { knownHostNames, matchesName, parseKnownHosts } from "../../../provider/transport/known-hosts";

const key = Buffer.from("\0\0\0\x0bssh-ed25519\0\0\0\x02ab", "latin1");
const tail = `ssh-ed25519 ${key.toString("base64")} a comment`;
const hashed = (name: string): string => {
  const salt = Buffer.alloc(20, 7);
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;
};

test.each([
  ["gw-1", "gw-1", 22, true],
  ["gw-1", "GW-1", 22, true],
  ["GW-1", "gw-1", 22, true],
  ["gw-1", "gw-2", 22, false],
  ["gw-1", "gw-1", 2222, false],
  ["[gw-1]:2222", "gw-1", 2222, true],
  ["[gw-1]:2222", "gw-1", 22, false],
  ["gw-1,192.168.0.1", "192.168.0.1", 22, true],
  ["192.168.0.*", "192.168.0.11", 22, true],
  ["192.168.0.?", "192.168.0.11", 22, false],
  ["192.168.0.1", "192x168x0x1", 22, false],
  ["*,!gw-1", "gw-2", 22, true],
  ["*,!gw-1", "gw-1", 22, false],
  ["!gw-1", "gw-2", 22, false],
  ["[*]:2222", "gw-1", 2222, true],
  [hashed("gw-1"), "gw-1", 22, true],
  [hashed("gw-1"), "gw-2", 22, false],
  [hashed("[gw-1]:2222"), "gw-1", 2222, true],
  ["|2|AAAA|BBBB", "gw-1", 22, false],
  ["|1|", "gw-1", 22, false],
])("the names %s for %s port %d: %s", (names, host, port, matches) => {
  const [line] = parseKnownHosts(`${names} ${tail}`);
  expect(line && matchesName(line, knownHostNames(host, port).exact)).toBe(matches);
});

test("comments, empty and broken lines are passed over; markers and tabs are read", () => {
  const text = [
    "# a comment",
    "",
    "gw-1",
    "gw-1 ssh-ed25519",
    `@unknown gw-1 ${tail}`,
    `@revoked gw-1 ${tail}`,
    `@cert-authority * ${tail}\r`,
    `\tgw-2\t${tail}`,
  ].join("\n");
  expect(parseKnownHosts(text)).toEqual([
    { marker: "revoked", names: "gw-1", keyType: "ssh-ed25519", key },
    { marker: "cert-authority", names: "*", keyType: "ssh-ed25519", key },
    { names: "gw-2", keyType: "ssh-ed25519", key },
  ]);
});
