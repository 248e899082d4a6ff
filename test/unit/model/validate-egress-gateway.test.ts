import { formatProblem } from "../../../provider/model/problem";
import { validateEgressGateway } from "../../../provider/model/validate";
import { type Path, withValue } from "./edit";
import { egressGateway, nodeRef } from "./inputs";

const check = (path: Path, value: unknown): string[] =>
  validateEgressGateway(withValue(egressGateway, path, value)).map(formatProblem);

test("an input with every property is accepted", () => expect(validateEgressGateway(egressGateway)).toEqual([]));

test("an input with the required properties only is accepted", () => {
  expect(validateEgressGateway({ gateways: [nodeRef("gw-1", 101)], egressIPs: ["192.0.2.1"] })).toEqual([]);
});

const ipv6 = "is IPv6; egress over IPv6 is not supported yet. Give";
const notUnicast = "which can't be an egress IP. Give a unicast address.";

test.each<[Path, unknown, string]>([
  [
    ["gateways"],
    undefined,
    "gateways: This is required. Give the nodes that hold the egress IPs, at least one NodeMark.",
  ],
  [["clients", 0], "worker-1", 'clients[0]: "worker-1" is not a node. Pass a NodeMark or its ref output.'],
  [
    ["clients", 0],
    { node: "worker-1" },
    "clients[0]: An object is not a node (see clients[0].fleet). Pass a NodeMark or its ref output.",
  ],
  [["clients", 0], null, "clients[0]: null is not a node. Pass a NodeMark or its ref output."],
  [["clients"], nodeRef("worker-1", 11), "clients: An object is not a list. Give a list of NodeMarks."],
  [
    ["gateways", 2],
    nodeRef("gw-1", 101),
    'gateways[2]: Node "gw-1" is in the list already, at gateways[0]. Remove one of them.',
  ],
  [
    ["clients", 2],
    nodeRef("worker-1", 11),
    'clients[2]: Node "worker-1" is in the list already, at clients[0]. Remove one of them.',
  ],
  [
    ["clients", 0, "index"],
    102,
    'clients[0]: Node "worker-1" has the mark of node "gw-2" at gateways[1]. Pass each NodeMark\'s own ref.',
  ],
  [
    ["clients", 0, "underlayIP"],
    "192.168.0.102",
    'clients[0]: Node "worker-1" has the underlayIP of node "gw-2" at gateways[1]. Pass each NodeMark\'s own ref.',
  ],
  [
    ["clients", 1, "index"],
    103,
    'clients[1]: Node "gw-1" has another mark than at gateways[0]. Pass the ref of one NodeMark to both.',
  ],
  [
    ["clients", 0, "fleet"],
    "test",
    'clients[0]: Node "worker-1" is in fleet "test", but gateways[0] is in "prod". Use nodes of one fleet.',
  ],
  [
    ["egressIPs"],
    undefined,
    'egressIPs: This is required. Give at least one egress IP, as "a.b.c.d", "a.b.c.d-e.f.g.h" or a CIDR.',
  ],
  [["egressIPs", 4], "192.0.2.300", 'egressIPs[4]: "192.0.2.300" is not an IPv4 address, a range "a-b" or a CIDR.'],
  [["egressIPs", 4], "192.0.2.20-x", 'egressIPs[4]: "192.0.2.20-x" is not an IPv4 address, a range "a-b" or a CIDR.'],
  [
    ["egressIPs", 4],
    "192.0.2.20-192.0.2.21-192.0.2.22",
    'egressIPs[4]: "192.0.2.20-192.0.2.21-192.0.2.22" is not an IPv4 address, a range "a-b" or a CIDR.',
  ],
  [["egressIPs", 4], "192.0.2.20-fd00::1", `egressIPs[4]: "192.0.2.20-fd00::1" ${ipv6} an IPv4 address.`],
  [["egressIPs", 4], 7, 'egressIPs[4]: 7 is not a text. Give an IPv4 address, a range "a-b" or a CIDR.'],
  [["egressIPs", 4], "fd00::1", `egressIPs[4]: "fd00::1" ${ipv6} an IPv4 address.`],
  [["egressIPs", 4], "fd00::1-fd00::9", `egressIPs[4]: "fd00::1-fd00::9" ${ipv6} an IPv4 address.`],
  [["egressIPs", 4], "fd00::/126", `egressIPs[4]: "fd00::/126" ${ipv6} an IPv4 address.`],
  [
    ["egressIPs", 4],
    "192.0.2.9-192.0.2.7",
    'egressIPs[4]: "192.0.2.9-192.0.2.7" ends before it starts. Write the lower address first.',
  ],
  [
    ["egressIPs", 4],
    "198.51.100.1/30",
    'egressIPs[4]: "198.51.100.1/30" has host bits set. Write "198.51.100.0/30", or "198.51.100.1" for the one address.',
  ],
  [["egressIPs", 4], "192.0.2.1", 'egressIPs[4]: "192.0.2.1" is given already, at egressIPs[0]. Remove one of them.'],
  [
    ["egressIPs", 4],
    "192.0.2.6-192.0.2.7",
    'egressIPs[4]: "192.0.2.6" of "192.0.2.6-192.0.2.7" is given already, at egressIPs[1]. Remove one of them.',
  ],
  [
    ["egressIPs", 4],
    "198.18.0.0/16",
    'egressIPs[4]: "198.18.0.0/16" has more than 1024 addresses. Give fewer, or several gateways.',
  ],
  [
    ["egressIPs", 4],
    "8.0.0.0-100.0.0.0",
    'egressIPs[4]: "8.0.0.0-100.0.0.0" has more than 1024 addresses. Give fewer, or several gateways.',
  ],
  [
    ["egressIPs", 4],
    "198.18.0.0/22",
    "egressIPs: These are 1033 addresses, but a gateway holds at most 1024. Use several gateways.",
  ],
  [["egressIPs", 4], "0.0.0.0", `egressIPs[4]: "0.0.0.0" means "this host", ${notUnicast}`],
  [["egressIPs", 4], "127.0.0.1", `egressIPs[4]: "127.0.0.1" is a loopback address, ${notUnicast}`],
  [["egressIPs", 4], "169.254.1.1", `egressIPs[4]: "169.254.1.1" is a link-local address, ${notUnicast}`],
  [["egressIPs", 4], "223.255.255.255-224.0.0.1", `egressIPs[4]: "224.0.0.0" is a multicast address, ${notUnicast}`],
  [["egressIPs", 4], "240.0.0.1", `egressIPs[4]: "240.0.0.1" is a reserved address, ${notUnicast}`],
  [["egressIPs", 4], "255.255.255.255", `egressIPs[4]: "255.255.255.255" is the broadcast address, ${notUnicast}`],
  [
    ["egressIPs", 4],
    "10.96.0.10",
    'egressIPs[4]: "10.96.0.10" is in "10.96.0.0/16", the cluster\'s own pods or services. Give an address outside.',
  ],
  [
    ["egressIPs", 4],
    "192.168.0.10-192.168.0.12",
    'egressIPs[4]: "192.168.0.11" is the own address of node "worker-1". Give an address that no node has.',
  ],
  [
    ["placement"],
    { "192.0.2.99": "gw-1" },
    'placement["192.0.2.99"]: "192.0.2.99" is not one of egressIPs. Add it there, or remove it here.',
  ],
  [["placement"], { "192.0.2": "gw-1" }, 'placement["192.0.2"]: "192.0.2" is not an IPv4 address.'],
  [["placement"], { "fd00::1": "gw-1" }, `placement["fd00::1"]: "fd00::1" ${ipv6} an IPv4 address.`],
  [["placement"], { "192.0.2.1": "gw1" }, 'placement["192.0.2.1"]: Unknown gateway node "gw1". Did you mean "gw-1"?'],
  [
    ["placement"],
    { "192.0.2.1": "worker-1" },
    'placement["192.0.2.1"]: Unknown gateway node "worker-1". There are "gw-1" and "gw-2".',
  ],
  [["placement", "192.0.2.1"], 1, 'placement["192.0.2.1"]: 1 is not a text. Give the name of a gateway node.'],
  [["extraIgnore", 1], "198.51.100.300", 'extraIgnore[1]: "198.51.100.300" is not an IPv4 address or CIDR.'],
  [
    ["onTunnelLoss"],
    "dorp",
    'onTunnelLoss: "dorp" is not one of the choices. Give "drop" or "node-ip". Did you mean "drop"?',
  ],
  [["inbound"], "deny", 'inbound: "deny" is not one of the choices. Give "drop" or "allow".'],
  [["inbound"], true, 'inbound: true is not one of the choices. Give "drop" or "allow".'],
  [["datapath"], "ebpf", 'datapath: "ebpf" is not one of the choices. Give "iptables" or "bpf". Did you mean "bpf"?'],
  [["datapath"], true, 'datapath: true is not one of the choices. Give "iptables" or "bpf".'],
  [["weave"], "yes", 'weave: "yes" is not true or false. Give true or false.'],
  [["egressIP"], "192.0.2.1", 'egressIP: There is no such property. Did you mean "egressIPs"?'],
])("%j %j is refused", (path, value, message) => {
  expect(check(path, value)).toEqual([message]);
});

test("empty lists are refused", () => {
  expect(validateEgressGateway({ gateways: [], egressIPs: [] }).map(formatProblem)).toEqual([
    'egressIPs: The list is empty. Give at least one egress IP, as "a.b.c.d", "a.b.c.d-e.f.g.h" or a CIDR.',
    "gateways: The list is empty. Give the nodes that hold the egress IPs, at least one NodeMark.",
  ]);
});

test.each<[Path, unknown]>([
  [["clients"], []],
  [["clients"], egressGateway.gateways],
  [["egressIPs", 4], "198.18.0.0/23"],
  [["egressIPs", 4], "192.0.2.255"],
  [["egressIPs", 4], "203.0.113.0/32"],
  // In the nodes' network, where egress IPs usually are.
  [["egressIPs", 4], "192.168.0.201-192.168.0.210"],
  [["placement"], {}],
  [["placement"], { "192.0.2.1": "gw-1", "192.0.2.11": "gw-2" }],
  [["extraIgnore"], []],
  [["gateways", 0, "clusterNetworks"], undefined],
])("%j %j is accepted", (path, value) => {
  expect(check(path, value)).toEqual([]);
});

test("a gateway may hold 1024 addresses", () => {
  expect(validateEgressGateway({ gateways: [nodeRef("gw-1", 101)], egressIPs: ["198.18.0.0/22"] })).toEqual([]);
});
