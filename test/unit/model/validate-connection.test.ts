import { formatProblem } from "../../../provider/model/problem";
import { validateNodeMark } from "../../../provider/model/validate";
import { withValue } from "./edit";
import { hostKey, nodeMark } from "./inputs";

const longest = Array.from({ length: 4 }, () => "a".repeat(63))
  .join(".")
  .slice(0, 253);

const check = (property: string, value: unknown): string[] =>
  validateNodeMark(withValue(nodeMark, ["connection", property], value)).map(formatProblem);

test.each<[string, unknown, string]>([
  ["host", undefined, "connection.host: This is required. Give a host name or an IPv4 address."],
  ["host", "", "connection.host: The text is empty. Give a host name or an IPv4 address."],
  ["host", 7, "connection.host: 7 is not a text. Give a host name or an IPv4 address."],
  ["host", "10.0.0.300", 'connection.host: "10.0.0.300" is not a host name or an IPv4 address.'],
  ["host", "my host", 'connection.host: "my host" is not a host name or an IPv4 address.'],
  ["host", `${longest}a`, `connection.host: "${longest.slice(0, 60)}…" is not a host name or an IPv4 address.`],
  ["host", "-oProxyCommand=x", 'connection.host: "-oProxyCommand=x" is not a host name or an IPv4 address.'],
  [
    "host",
    "fd00::1",
    'connection.host: "fd00::1" is IPv6; egress over IPv6 is not supported yet. Give a host name or an IPv4 address.',
  ],
  [
    "host",
    "[fd00::1]:22",
    'connection.host: "[fd00::1]:22" is IPv6; egress over IPv6 is not supported yet. Give a host name or an IPv4 address.',
  ],
  ["host", "worker-1:2222", 'connection.host: "worker-1:2222" has a port in it. Give the port as "port".'],
  ["host", "ops:hunter2@worker-1", 'connection.host: The host has a login name in it. Give the login name as "user".'],
  ["port", 0, "connection.port: 0 is out of range. Give a TCP port from 1 to 65535."],
  ["port", 65536, "connection.port: 65536 is out of range. Give a TCP port from 1 to 65535."],
  ["port", "22", 'connection.port: "22" is not a whole number. Give a TCP port from 1 to 65535.'],
  ["port", 22.5, "connection.port: 22.5 is not a whole number. Give a TCP port from 1 to 65535."],
  ["user", "", "connection.user: The text is empty. Give a login name."],
  ["sudo", "yes", 'connection.sudo: "yes" is not true or false. Give true or false.'],
  ["dialErrorLimit", 0, "connection.dialErrorLimit: 0 is out of range. Give a number of attempts from 1 to 1000."],
  ["perDialTimeout", -1, "connection.perDialTimeout: -1 is out of range. Give a number of seconds from 1 to 3600."],
  [
    "hostKey",
    "SHA256:short",
    'connection.hostKey: "SHA256:short" is neither an OpenSSH public key line nor "SHA256:…". Print it on the node with "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub".',
  ],
  ["privatekey", "x", 'connection.privatekey: There is no such property. Did you mean "privateKey"?'],
  [
    "proxy",
    { host: "10.0.0.0/8", password: "env:P" },
    'connection.proxy.host: "10.0.0.0/8" is not a host name or an IPv4 address.',
  ],
  [
    "proxy",
    { host: "jump" },
    "connection.proxy: There is no way to log in. Give privateKey, agentSocketPath or password.",
  ],
  [
    "proxy",
    { host: "jump", password: "env:P", proxy: {} },
    'connection.proxy.proxy: There is no such property. Did you mean "port"?',
  ],
])("%s %j is refused", (property, value, message) => {
  expect(check(property, value)).toEqual([message]);
});

test.each<[string, unknown]>([
  ["host", "192.168.0.11"],
  ["host", "worker_1.example.com."],
  ["host", longest],
  ["port", 65535],
  ["hostKey", `SHA256:${"A".repeat(43)}`],
  ["hostKey", `  ${hostKey}\n`],
  ["proxy", undefined],
  ["sudo", undefined],
])("%s %j is accepted", (property, value) => {
  expect(check(property, value)).toEqual([]);
});

test("a connection without a way to log in is refused", () => {
  const connection = { host: "worker-1", user: "root", hostKey };
  expect(validateNodeMark({ ...nodeMark, connection })).toEqual([
    { path: "connection", message: "There is no way to log in. Give privateKey, agentSocketPath or password." },
  ]);
});

const secrets = [
  "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n",
  "hunter2",
  "config:",
  "config:a\nhunter2",
  "secret:hunter2",
];
const properties = ["privateKey", "privateKeyPassword", "password"];

test.each(properties.flatMap((property) => secrets.map((secret) => [property, secret])))(
  "a literal %s is refused and not repeated: %j",
  (property, secret) => {
    expect(check(String(property), secret)).toEqual([
      `connection.${property}: A secret is given by reference, never as its value, which would be stored in Pulumi state. Run "pulumi config set --secret egress:${property} < FILE" and give "config:${property}", or give "file:PATH" or "env:NAME".`,
    ]);
  },
);

test.each(
  properties.flatMap((p) => ["config:key", "config:other:key", "file:~/key", "env:KEY"].map((ref) => [p, ref])),
)("%s by reference is accepted: %s", (property, reference) => expect(check(String(property), reference)).toEqual([]));

test("no message repeats a secret, wherever it was put and whatever type it has", () => {
  const secret = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n";
  for (const property of [...Object.keys(nodeMark.connection), "privatKey", "key"]) {
    for (const value of [secret, [secret], { key: secret }]) {
      expect(check(property, value).join("\n")).not.toMatch(/hunter2|BEGIN/);
    }
  }
  for (const property of properties) expect(check(property, 271828)).toHaveLength(1);
  for (const property of properties) expect(check(property, 271828).join()).not.toContain("271828");
});
