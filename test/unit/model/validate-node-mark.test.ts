import type { Problem } from "../../../provider/model/args";
import { formatProblem } from "../../../provider/model/problem";
import { validateNodeMark } from "../../../provider/model/validate";
import { type Path, withValue } from "./edit";
import { connection, nodeMark } from "./inputs";

const problems = (path: Path, value: unknown): Problem[] => validateNodeMark(withValue(nodeMark, path, value));
const check = (path: Path, value: unknown): string[] => problems(path, value).map(formatProblem);

test("an input with every property is accepted", () => expect(validateNodeMark(nodeMark)).toEqual([]));

test("an input with the required properties only is accepted", () => {
  const { name, registry, ignore } = nodeMark.fleet;
  const { extra, ...required } = ignore;
  const fleet = { name, registry, ignore: required };
  expect(validateNodeMark({ node: "worker-1", fleet, connection, underlayIP: "192.168.0.11" })).toEqual([]);
});

const nodeName = "is not a node name. Use lower case letters, digits, hyphens and dots, as Kubernetes does.";
const fleetName = "is not a fleet name. Use lower case letters, digits and hyphens, at most 63 characters.";
const device = "is not the name of a network device. Use 1 to 15 letters, digits, dots, hyphens or underscores.";
const ipv6 = "is IPv6; egress over IPv6 is not supported yet.";
const longest = Array.from({ length: 4 }, () => "a".repeat(63))
  .join(".")
  .slice(0, 253);
const long = "a".repeat(64);

test.each<[Path, unknown, string]>([
  [["node"], undefined, "node: This is required. Give the name of the node."],
  [["node"], "Worker-1", `node: "Worker-1" ${nodeName}`],
  [["node"], "", `node: "" ${nodeName}`],
  [["node"], "a..b", `node: "a..b" ${nodeName}`],
  [["node"], long, `node: "${long.slice(4)}…" ${nodeName}`],
  [["node"], `${longest}a`, `node: "${longest.slice(0, 60)}…" ${nodeName}`],
  [["node"], "worker-1; reboot", `node: "worker-1; reboot" ${nodeName}`],
  [["nod"], "x", 'nod: There is no such property. Did you mean "node"?'],
  [["zone"], "x", 'zone: There is no such property. Did you mean "node"?'],
  [
    ["somethingElse"],
    "x",
    'somethingElse: There is no such property. Known here: "node", "fleet", "connection", "underlayIP", "uplink" and "mark".',
  ],
  [
    ["underlayIP"],
    undefined,
    "underlayIP: This is required. Give the IPv4 address by which the other nodes reach this one.",
  ],
  [["underlayIP"], "192.168.0.11/24", 'underlayIP: "192.168.0.11/24" is not an IPv4 address.'],
  [["underlayIP"], "fd00::1", `underlayIP: "fd00::1" ${ipv6} Give an IPv4 address.`],
  [
    ["underlayIP"],
    "192.168.1.11",
    'underlayIP: "192.168.1.11" is not in fleet.ignore.nodes, "192.168.0.0/24". Add the network that it is in.',
  ],
  [["uplink"], "eth0; reboot", `uplink: "eth0; reboot" ${device}`],
  [["uplink"], "abcdefghijklmnop", `uplink: "abcdefghijklmnop" ${device}`],
  [["uplink"], "eth+", `uplink: "eth+" ${device}`],
  [
    ["mark"],
    "0x12340000",
    'mark: "0x12340000" is not a node mark. Write "0x26VVVV00", with hexadecimal digits for VVVV.',
  ],
  [
    ["mark"],
    "0x26000101",
    'mark: "0x26000101" is not a node mark. Write "0x26VVVV00", with hexadecimal digits for VVVV.',
  ],
  [["mark"], 637534464, 'mark: 637534464 is not a text. Give a mark of the form "0x26VVVV00".'],
  [
    ["mark"],
    "0x2601ff00",
    'mark: "0x2601ff00" sets bit 0x4000 or 0x8000, which are kube-proxy\'s. Clear both, e.g. "0x26013f00".',
  ],
  [
    ["mark"],
    "0x26004000",
    'mark: "0x26004000" sets bit 0x4000 or 0x8000, which are kube-proxy\'s. Clear both, e.g. "0x26000100".',
  ],
  [["mark"], "0x26000000", 'mark: "0x26000000" has the value 0, which is no node. Use "0x26000100" or above.'],
  [["fleet"], undefined, "fleet: This is required. Give the settings of the fleet, {name, registry, ignore}."],
  [["fleet"], "prod", 'fleet: "prod" is not an object. Give the settings of the fleet, {name, registry, ignore}.'],
  [["fleet", "name"], "Prod", `fleet.name: "Prod" ${fleetName}`],
  [["fleet", "name"], "eu.prod", `fleet.name: "eu.prod" ${fleetName}`],
  [["fleet", "registry", "node"], "GW", `fleet.registry.node: "GW" ${nodeName}`],
  [
    ["fleet", "registry"],
    undefined,
    "fleet.registry: This is required. Give the node that keeps the fleet's registry, and the connection to it.",
  ],
  [
    ["fleet", "registry", "connection", "host"],
    "a b",
    'fleet.registry.connection.host: "a b" is not a host name or an IPv4 address.',
  ],
  [
    ["fleet", "ignore", "pods"],
    [],
    "fleet.ignore.pods: The list is empty. Give the CIDRs of the cluster's pods, at least one.",
  ],
  [
    ["fleet", "ignore", "services"],
    [],
    "fleet.ignore.services: The list is empty. Give the CIDRs of the cluster's services, at least one.",
  ],
  [
    ["fleet", "ignore", "nodes"],
    [],
    "fleet.ignore.nodes: The list is empty. Give the CIDRs of the cluster's nodes, at least one.",
  ],
  [
    ["fleet", "ignore", "services"],
    "10.96.0.0/16",
    'fleet.ignore.services: "10.96.0.0/16" is not a list. Give the CIDRs of the cluster\'s services, at least one.',
  ],
  [["fleet", "ignore", "pods", 1], "10.0.0.300", 'fleet.ignore.pods[1]: "10.0.0.300" is not an IPv4 address or CIDR.'],
  [["fleet", "ignore", "pods", 1], 10, "fleet.ignore.pods[1]: 10 is not a text. Give an IPv4 address or CIDR."],
  [
    ["fleet", "ignore", "services", 1],
    "fd00:10:96::/112",
    `fleet.ignore.services[1]: "fd00:10:96::/112" ${ipv6} Give an IPv4 address or CIDR.`,
  ],
  [
    ["fleet", "ignore", "nodes", 1],
    "192.168.1.7/24",
    'fleet.ignore.nodes[1]: "192.168.1.7/24" has host bits set. Write "192.168.1.0/24", or "192.168.1.7" for the one address.',
  ],
  [
    ["fleet", "ignore", "extra", 1],
    "198.51.100.7/32",
    'fleet.ignore.extra[1]: "198.51.100.7/32" is in the list already, at fleet.ignore.extra[0]. Remove one of them.',
  ],
  [
    ["fleet", "ignore", "extra", 0],
    "0.0.0.0/0",
    'fleet.ignore.extra[0]: "0.0.0.0/0" is everything, so no policy could select anything. Give the networks that are meant.',
  ],
  [["fleet", "tunnelPort"], 0, "fleet.tunnelPort: 0 is out of range. Give a UDP port from 1 to 65535."],
  [
    ["fleet", "vni"],
    16777216,
    "fleet.vni: 16777216 is out of range. Give a VXLAN network identifier from 1 to 16777215.",
  ],
  [["fleet", "mtu"], 100, "fleet.mtu: 100 is out of range. Give a number of bytes from 576 to 65485."],
  [["fleet", "rulePreference"], 0, "fleet.rulePreference: 0 is out of range. Give a preference from 1 to 32765."],
  [
    ["fleet", "rulePreference"],
    32766,
    "fleet.rulePreference: 32766 is out of range. Give a preference from 1 to 32765.",
  ],
  [["fleet", "tunnelCIDR"], "fd00::/64", `fleet.tunnelCIDR: "fd00::/64" ${ipv6} Give an IPv4 address or CIDR.`],
  [
    ["fleet", "tunnelCIDR"],
    "100.126.0.0/19",
    'fleet.tunnelCIDR: "100.126.0.0/19" has too few addresses for 16383 nodes. Give a /18 or larger.',
  ],
  [
    ["fleet", "tunnelCIDR"],
    "100.126.1.0/16",
    'fleet.tunnelCIDR: "100.126.1.0/16" has host bits set. Write "100.126.0.0/16", or "100.126.1.0" for the one address.',
  ],
  [
    ["fleet", "tunnelCIDR"],
    "10.0.0.0/14",
    'fleet.tunnelCIDR: "10.0.0.0/14" overlaps "10.0.0.0/16" of fleet.ignore.pods[0]. Give a network that is used nowhere else.',
  ],
  [
    ["fleet", "tunnelCIDR"],
    "10.96.0.0/18",
    'fleet.tunnelCIDR: "10.96.0.0/18" overlaps "10.96.0.0/16" of fleet.ignore.services[0]. Give a network that is used nowhere else.',
  ],
  [
    ["fleet", "tables"],
    { start: 200 },
    "fleet.tables: Tables 200 to 299 hold table 252, which the kernel keeps for itself. Start at 256 or above.",
  ],
  [
    ["fleet", "tables"],
    { start: 255, count: 1 },
    "fleet.tables: Tables 255 to 255 hold table 255, which the kernel keeps for itself. Start at 256 or above.",
  ],
  [
    ["fleet", "tables"],
    { start: 0, count: 10 },
    "fleet.tables: Tables 0 to 9 hold table 0, which the kernel keeps for itself. Start at 256 or above.",
  ],
  [
    ["fleet", "tables"],
    { start: 4294967290 },
    "fleet.tables: Tables 4294967290 to 4294967389 go beyond the last table, 4294967295. Start lower or count fewer.",
  ],
  [
    ["fleet", "tables", "count"],
    10001,
    "fleet.tables.count: 10001 is out of range. Give a number of tables from 1 to 10000.",
  ],
  [["fleet", "tables", "count"], 0, "fleet.tables.count: 0 is out of range. Give a number of tables from 1 to 10000."],
  [
    ["fleet", "tables", "first"],
    3000,
    'fleet.tables.first: There is no such property. Known here: "start" and "count".',
  ],
])("%j %j is refused", (path, value, message) => {
  expect(check(path, value)).toEqual([message]);
});

test("the node's own address in the tunnel's network is refused, also by default", () => {
  const extended = withValue(nodeMark, ["fleet", "ignore", "nodes", 1], "100.126.7.0/24");
  const inside = withValue(extended, ["underlayIP"], "100.126.7.7");
  expect(validateNodeMark(withValue(inside, ["fleet", "tunnelCIDR"], undefined)).map(formatProblem)).toEqual([
    'fleet.tunnelCIDR: The default "100.126.0.0/16" overlaps "100.126.7.0/24" of fleet.ignore.nodes[1]. Give a network that is used nowhere else.',
  ]);
  const elsewhere = withValue(nodeMark, ["underlayIP"], "100.126.7.7");
  expect(validateNodeMark(elsewhere).map(formatProblem)).toEqual([
    'fleet.tunnelCIDR: "100.126.0.0/16" holds "100.126.7.7" of underlayIP. Give a network that is used nowhere else.',
    'underlayIP: "100.126.7.7" is not in fleet.ignore.nodes, "192.168.0.0/24". Add the network that it is in.',
  ]);
});

test.each<[Path, unknown]>([
  [["node"], "ip-10-0-0-1.eu-west-1.compute.internal"],
  [["node"], "a".repeat(63)],
  [["node"], longest],
  [["underlayIP"], "192.168.0.255"],
  [["uplink"], "bond0.100"],
  [["mark"], "0x26000100"],
  [["mark"], "0x26FF3F00"],
  [["fleet", "name"], "a".repeat(63)],
  [["fleet", "ignore", "extra"], []],
  [
    ["fleet", "ignore", "pods"],
    ["10.0.0.0/16", "10.0.0.1", "10.0.1.0/24"],
  ],
  [["fleet", "tunnelCIDR"], "100.64.0.0/18"],
  [["fleet", "tunnelCIDR"], "198.51.100.0/18".replace("100.0", "64.0")],
  [["fleet", "tables"], { start: 256, count: 10000 }],
  [["fleet", "tables"], { start: 1, count: 251 }],
  [["fleet", "tables"], { start: 4294967295, count: 1 }],
  [["fleet", "tables"], {}],
  [["fleet", "rulePreference"], 32765],
])("%j %j is accepted", (path, value) => {
  expect(problems(path, value)).toEqual([]);
});

test.each([undefined, null, "worker-1", 7, []])("%p is no input at all", (input) => {
  expect(validateNodeMark(input)).toHaveLength(1);
});
