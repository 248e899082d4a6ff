import fc from "fast-check";
import { type Problem, UNKNOWN } from "../../../provider/model/args";
import { at } from "../../../provider/model/at";
import { formatProblem } from "../../../provider/model/problem";
import { validateEgressGateway, validateEgressPolicy } from "../../../provider/model/validate";
import { allPaths, type Path, valueAt, withValue } from "./edit";
import { egressGateway, egressPolicy, gatewayRef, nodeRef } from "./inputs";

/** What is told of a ref as programs pass them on, a whole one with one part changed; not what others say then. */
const node = (path: Path, value: unknown): string[] =>
  within("clients[0].", validateEgressGateway(withValue(egressGateway, ["clients", 0, ...path], value)));
const gateway = (path: Path, value: unknown): string[] =>
  within("gateway.", validateEgressPolicy(withValue(egressPolicy, ["gateway", ...path], value)));
const within = (root: string, problems: readonly Problem[]): string[] =>
  problems.filter(({ path }) => path.startsWith(root)).map(formatProblem);

const ipv6 = "is IPv6; egress over IPv6 is not supported yet. Give";
const nodeName = "is not a node name. Use lower case letters, digits, hyphens and dots, as Kubernetes does.";
const fleetName = "is not a fleet name. Use lower case letters, digits and hyphens, at most 63 characters.";
const deviceName = "is not the name of a network device. Use 1 to 15 letters, digits, dots, hyphens or underscores.";
const everything = "is everything, so no policy could select anything. Give the networks that are meant.";
const noHost = "is not a host name or an IPv4 address.";
const noAddress = "is not an IPv4 address.";
const noNetwork = "is not an IPv4 address or CIDR.";
const gatewayId = 'is not the id of a gateway, "gateway-UUID". Give the one that its ref output has.';
const secret = (name: string): string =>
  `A secret is given by reference, never as its value, which would be stored in Pulumi state. Run "pulumi config set --secret egress:${name} < FILE" and give "config:${name}", or give "file:PATH" or "env:NAME".`;
const index = "Give a node's index from 1 to 16383.";

test.each<[Path, unknown, string]>([
  [["node"], "Worker 1", `.node: "Worker 1" ${nodeName}`],
  [["fleet"], "prod;", `.fleet: "prod;" ${fleetName}`],
  [["index"], 0, `.index: 0 is out of range. ${index}`],
  [["index"], 16384, `.index: 16384 is out of range. ${index}`],
  [["index"], "11", `.index: "11" is not a whole number. ${index}`],
  [["underlayIP"], "fe80::1", `.underlayIP: "fe80::1" ${ipv6} an IPv4 address.`],
  [["underlayIP"], "192.168.0.11 dev lo", `.underlayIP: "192.168.0.11 dev lo" ${noAddress}`],
  [["underlayIP"], "192.168.0.11/32", `.underlayIP: "192.168.0.11/32" ${noAddress}`],
  [
    ["underlayIP"],
    "192.168.7.7",
    '.underlayIP: "192.168.7.7" is not in clients[0].ignore, "10.0.0.0/16", "10.96.0.0/16" and "192.168.0.0/24". Add the network that it is in.',
  ],
  [["uplink"], "eth0 label x", `.uplink: "eth0 label x" ${deviceName}`],
  [["uplink"], "", `.uplink: "" ${deviceName}`],
  [["ignore", 3], "::/0", `.ignore[3]: "::/0" ${ipv6} an IPv4 address or CIDR.`],
  [["ignore", 3], "0.0.0.0/0", `.ignore[3]: "0.0.0.0/0" ${everything}`],
  [["ignore", 3], "10.1.0.0/16 nomatch", `.ignore[3]: "10.1.0.0/16 nomatch" ${noNetwork}`],
  [
    ["ignore", 3],
    "10.0.0.0/16",
    '.ignore[3]: "10.0.0.0/16" is in the list already, at clients[0].ignore[0]. Remove one of them.',
  ],
  [
    ["clusterNetworks", 1],
    "10.96.0.1/16",
    '.clusterNetworks[1]: "10.96.0.1/16" has host bits set. Write "10.96.0.0/16", or "10.96.0.1" for the one address.',
  ],
  [["clusterNetworks", 1], "fd00::/8", `.clusterNetworks[1]: "fd00::/8" ${ipv6} an IPv4 address or CIDR.`],
  [["registry", "node"], "gw-1\n", `.registry.node: "gw-1\\n" ${nodeName}`],
  [
    ["registry", "connection", "host"],
    "fd00::1",
    `.registry.connection.host: "fd00::1" ${ipv6} a host name or an IPv4 address.`,
  ],
  [
    ["registry", "connection", "port"],
    0,
    ".registry.connection.port: 0 is out of range. Give a TCP port from 1 to 65535.",
  ],
  [["connection", "host"], "a b", `.connection.host: "a b" ${noHost}`],
  [["connection", "port"], 65536, ".connection.port: 65536 is out of range. Give a TCP port from 1 to 65535."],
  [["connection", "password"], "hunter2", `.connection.password: ${secret("password")}`],
  [["connection", "proxy", "host"], "a;b", `.connection.proxy.host: "a;b" ${noHost}`],
  [
    ["connection"],
    { host: "worker-1" },
    ".connection: There is no way to log in. Give privateKey, agentSocketPath or password.",
  ],
  [["connection", "hots"], "a", '.connection.hots: There is no such property. Did you mean "host"?'],
])("of a node %j %j is refused", (path, value, message) => {
  expect(node(path, value)).toEqual([`clients[0]${message}`]);
});

test.each<[Path, unknown, string]>([
  [["id"], "gateway-1", `.id: "gateway-1" ${gatewayId}`],
  [
    ["id"],
    gatewayRef.id.replace("gateway", "policy"),
    `.id: "${gatewayRef.id.replace("gateway", "policy")}" ${gatewayId}`,
  ],
  [["id"], `${gatewayRef.id} `, `.id: "${gatewayRef.id} " ${gatewayId}`],
  [["name"], 7, ".name: 7 is not a text. Give the name of an EgressGateway."],
  [["fleet"], "prod test", `.fleet: "prod test" ${fleetName}`],
  [["egressIPs"], "192.0.2.2", '.egressIPs: "192.0.2.2" is not a list. Give a list of IPv4 addresses, at least one.'],
  [["egressIPs", 2], "fe80::1", `.egressIPs[2]: "fe80::1" ${ipv6} an IPv4 address.`],
  [["egressIPs", 2], "192.0.2.3 -j ACCEPT", `.egressIPs[2]: "192.0.2.3 -j ACCEPT" ${noAddress}`],
  [["egressIPs", 2], "192.0.2.3-192.0.2.4", `.egressIPs[2]: "192.0.2.3-192.0.2.4" ${noAddress}`],
  [
    ["egressIPs", 2],
    "192.0.2.1",
    '.egressIPs[2]: "192.0.2.1" is given already, at gateway.egressIPs[0]. Remove one of them.',
  ],
  [
    ["egressIPs", 2],
    "127.0.0.1",
    '.egressIPs[2]: "127.0.0.1" is a loopback address, which can\'t be an egress IP. Give a unicast address.',
  ],
  [["placement", "fe80::1"], "gw-1", `.placement["fe80::1"]: "fe80::1" ${ipv6} an IPv4 address.`],
  [
    ["placement", "192.0.2.9"],
    "gw-1",
    '.placement["192.0.2.9"]: "192.0.2.9" is not one of egressIPs. Add it there, or remove it here.',
  ],
  [["placement", "192.0.2.1"], "x y", `.placement["192.0.2.1"]: "x y" ${nodeName}`],
  [["placement", "192.0.2.1"], "gw1", '.placement["192.0.2.1"]: Unknown gateway node "gw1". Did you mean "gw-1"?'],
  [["ignore", 3], "0.0.0.0/0 nomatch", `.ignore[3]: "0.0.0.0/0 nomatch" ${noNetwork}`],
  [["ignore", 3], "0.0.0.0/0", `.ignore[3]: "0.0.0.0/0" ${everything}`],
  [["ignore", 3], "::/0", `.ignore[3]: "::/0" ${ipv6} an IPv4 address or CIDR.`],
  [["nodes", "Gw 3"], "192.168.0.103", `.nodes["Gw 3"]: "Gw 3" ${nodeName}`],
  [
    ["nodes", "gw-1"],
    "",
    '.nodes["gw-1"]: The text is empty. Give a host name or an IPv4 address, or the fields of a connection as JSON.',
  ],
  [["nodes", "gw-1"], "fd00::1", `.nodes["gw-1"]: "fd00::1" ${ipv6} a host name or an IPv4 address.`],
  [["nodes", "gw-1"], "192.168.0.101; reboot", `.nodes["gw-1"]: "192.168.0.101; reboot" ${noHost}`],
  [
    ["nodes", "gw-1"],
    '{"host":"gw-1","password":"hunter2"',
    '.nodes["gw-1"]: The value is neither a host nor the fields of a connection as JSON. Give a host name or an IPv4 address.',
  ],
  [["nodes", "gw-1"], '{"user":"ops"}', '.nodes["gw-1"].host: This is required. Give a host name or an IPv4 address.'],
  [["nodes", "gw-1"], '{"host":"gw 1"}', `.nodes["gw-1"].host: "gw 1" ${noHost}`],
  [
    ["nodes", "gw-1"],
    '{"host":"gw-1","port":0}',
    '.nodes["gw-1"].port: 0 is out of range. Give a TCP port from 1 to 65535.',
  ],
  [
    ["nodes", "gw-1"],
    '{"host":"gw-1","hots":1}',
    '.nodes["gw-1"].hots: There is no such property. Did you mean "host"?',
  ],
  [["nodes", "gw-1"], '{"host":"gw-1","password":"hunter2"}', `.nodes["gw-1"].password: ${secret("password")}`],
  [
    ["nodes", "gw-1"],
    '{"host":"gw-1","proxy":{"host":"fd00::1","password":"env:P"}}',
    `.nodes["gw-1"].proxy.host: "fd00::1" ${ipv6} a host name or an IPv4 address.`,
  ],
  [["connection", "privateKey"], "hunter2", `.connection.privateKey: ${secret("privateKey")}`],
  [["connection", "port"], 0, ".connection.port: 0 is out of range. Give a TCP port from 1 to 65535."],
  [["connection", "proxy"], { host: "a b", password: "env:P" }, `.connection.proxy.host: "a b" ${noHost}`],
  [
    ["connection", "proxy"],
    { host: "jump" },
    ".connection.proxy: There is no way to log in. Give privateKey, agentSocketPath or password.",
  ],
  [["connection"], {}, ".connection: There is no way to log in. Give privateKey, agentSocketPath or password."],
])("of a gateway %j %j is refused", (path, value, message) => {
  expect(gateway(path, value)).toEqual([`gateway${message}`]);
});

test("a gateway holds at most 1024 addresses and at least one", () => {
  const many = Array.from({ length: 1025 }, (_, i) => `198.18.${i >> 8}.${i & 255}`);
  const placed = { ...gatewayRef, placement: {} };
  const check = (egressIPs: readonly string[]): string[] => {
    const { egressIP: _, ...policy } = egressPolicy;
    return validateEgressPolicy({ ...policy, gateway: { ...placed, egressIPs } }).map(formatProblem);
  };
  expect(check(many.slice(1))).toEqual([]);
  expect(check(many)).toEqual([
    "gateway.egressIPs: These are 1025 addresses, but a gateway holds at most 1024. Use several gateways.",
  ]);
  expect(check([])).toEqual(["gateway.egressIPs: The list is empty. Give a list of IPv4 addresses, at least one."]);
});

test.each<[Path, unknown]>([
  [["nodes", "gw-1"], '{"host":"192.168.0.101","password":"env:PASSWORD"}'],
  [["nodes", "gw-1"], '{"host":"gw-1","port":2222,"proxy":{"host":"jump","agentSocketPath":"env:SSH_AUTH_SOCK"}}'],
  [["nodes", "worker-1.example.com"], "worker-1.example.com"],
  [["name"], "payments; of $ome team"],
  [["connection"], UNKNOWN],
  [["nodes", "gw-1"], UNKNOWN],
  [["ignore"], []],
])("of a gateway %j %j is accepted", (path, value) => {
  expect(gateway(path, value)).toEqual([]);
});

test("where every node says how to log in, nothing of it is shared", () => {
  const line = (host: string): string => JSON.stringify({ host, privateKey: `config:${host}` });
  const nodes = { "gw-1": line("a"), "gw-2": line("b") };
  expect(gateway([], { ...gatewayRef, nodes, connection: {} })).toEqual([]);
  expect(gateway([], { ...gatewayRef, nodes: { ...nodes, "gw-2": '{"host":"b","port":23}' }, connection: {} })).toEqual(
    ['gateway.nodes["gw-2"]: There is no way to log in. Give privateKey, agentSocketPath or password.'],
  );
});

test("all that is wrong with refs is told at once", () => {
  const ref = { ...nodeRef("worker-1", 11), underlayIP: "fe80::1", uplink: "eth0 label x", ignore: ["::/0"], index: 0 };
  expect(validateEgressGateway({ ...egressGateway, clients: [ref] }).map(({ path }) => path)).toEqual([
    "clients[0].ignore[0]",
    "clients[0].index",
    "clients[0].underlayIP",
    "clients[0].uplink",
  ]);
  const bad = { id: "x", egressIPs: ["fe80::1"], placement: { "fe80::1": "gw-1" }, ignore: ["0.0.0.0/0 nomatch"] };
  const policy = { ...egressPolicy, egressIP: undefined, gateway: { ...gatewayRef, ...bad } };
  expect(validateEgressPolicy(policy).map(({ path }) => path)).toEqual([
    "gateway.egressIPs[0]",
    "gateway.id",
    "gateway.ignore[0]",
    'gateway.placement["fe80::1"]',
  ]);
});

/** Texts of a ref that are free: who logs in and what is read on the operator's side, and a name that only messages repeat. */
const FREE = [
  "user",
  "privateKey",
  "privateKeyPassword",
  "password",
  "agentSocketPath",
  "hostKey",
  "knownHosts",
  "name",
];

const textsIn = (input: unknown, root: Path): Path[] =>
  allPaths(valueAt(input, root), root).filter(
    (path) => typeof valueAt(input, path) === "string" && !FREE.includes(String(path.at(-1))),
  );

/** What was right with something in it that a shell or a tool would take for more than a word; or anything with that in it. */
const words = (right: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom(" ", "\n", ";", "$", "\t", "'", '"', "\0", "`"),
      fc.nat(right.length),
      fc.string(),
      fc.boolean(),
    )
    .map(([bad, at, other, isOther]) =>
      isOther ? `${other}${bad}${other}` : `${right.slice(0, at)}${bad}${right.slice(at)}`,
    );

describe("no text of a ref is more than a word", () => {
  const refs = [
    ["clients[0]", egressGateway, ["clients", 0], validateEgressGateway],
    ["gateway", egressPolicy, ["gateway"], validateEgressPolicy],
  ] as const;

  test.each(
    refs.flatMap(([name, input, root, validate]) =>
      textsIn(input, root).map(
        (path) => [`${name} ${path.slice(root.length).join(".")}`, input, path, validate] as const,
      ),
    ),
  )("%s", (_, input, path, validate) => {
    fc.assert(
      fc.property(words(String(valueAt(input, path))), (text) => {
        const changed = withValue(input, path, text);
        const place = at({ path: "", value: changed }, ...path);
        expect(validate(changed).map((problem) => problem.path)).toContain(place.path);
      }),
      { numRuns: 40 },
    );
  });

  test("nor a key of its maps, nor a host among the fields of a node", () => {
    fc.assert(
      fc.property(words("192.0.2.1"), words("gw-1"), (address, name) => {
        expect(gateway(["placement", address], "gw-1")).not.toEqual([]);
        expect(gateway(["nodes", name], "192.168.0.101")).not.toEqual([]);
        expect(gateway(["nodes", "gw-1"], JSON.stringify({ host: name }))).not.toEqual([]);
      }),
    );
  });
});
