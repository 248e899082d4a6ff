import { formatProblem } from "../../../provider/model/problem";
import { validateEgressPolicy } from "../../../provider/model/validate";
import { type Path, withValue } from "./edit";
import { egressPolicy, gatewayRef } from "./inputs";

const check = (path: Path, value: unknown): string[] =>
  validateEgressPolicy(withValue(egressPolicy, path, value)).map(formatProblem);

test("an input with every property is accepted", () => expect(validateEgressPolicy(egressPolicy)).toEqual([]));

test("an input with the required properties only is accepted", () => {
  expect(validateEgressPolicy({ gateway: gatewayRef, sources: { cidrs: ["10.0.1.7"] } })).toEqual([]);
});

const ipv6 = "is IPv6; egress over IPv6 is not supported yet. Give an IPv4 address";
const nothingLeft = "destinations.except: Nothing is left of the destinations. Remove exceptions, or the whole policy.";

test.each<[Path, unknown, string]>([
  [["gateway"], undefined, "gateway: This is required. Give an EgressGateway or its ref output."],
  [["gateway"], "payments", 'gateway: "payments" is not a gateway. Pass an EgressGateway or its ref output.'],
  [["sources"], undefined, "sources: This is required. Give the pods, {cidrs: […]}."],
  [
    ["sources", "cidrs"],
    [],
    "sources.cidrs: The list is empty. Give the CIDRs or addresses of the pods, at least one.",
  ],
  [
    ["sources", "cidrs"],
    undefined,
    "sources.cidrs: This is required. Give the CIDRs or addresses of the pods, at least one.",
  ],
  [["destinations", "expect"], [], 'destinations.expect: There is no such property. Did you mean "except"?'],
  [["sources"], ["10.0.1.0/24"], "sources: A list is not an object. Give the pods, {cidrs: […]}."],
  [["sources", "cidr"], [], 'sources.cidr: There is no such property. Did you mean "cidrs"?'],
  [["sources", "cidrs", 1], "10.0.0.300", 'sources.cidrs[1]: "10.0.0.300" is not an IPv4 address or CIDR.'],
  [["sources", "cidrs", 1], "fd00::/64", `sources.cidrs[1]: "fd00::/64" ${ipv6} or CIDR.`],
  [
    ["sources", "cidrs", 1],
    "10.0.2.7/24",
    'sources.cidrs[1]: "10.0.2.7/24" has host bits set. Write "10.0.2.0/24", or "10.0.2.7" for the one address.',
  ],
  [
    ["sources", "cidrs", 2],
    "10.0.2.7/32",
    'sources.cidrs[2]: "10.0.2.7/32" is in the list already, at sources.cidrs[1]. Remove one of them.',
  ],
  [
    ["sources", "cidrs", 1],
    "0.0.0.0/0",
    'sources.cidrs[1]: "0.0.0.0/0" is every host, not only pods. Give the CIDRs of the pods that are meant.',
  ],
  [
    ["sources", "cidrs", 1],
    "127.0.0.1",
    'sources.cidrs[1]: "127.0.0.1" is loopback, which is never forwarded. Remove it.',
  ],
  [
    ["destinations", "cidrs", 1],
    "127.0.0.0/8",
    'destinations.cidrs[1]: "127.0.0.0/8" is loopback, which is never forwarded. Remove it.',
  ],
  [
    ["destinations", "cidrs", 1],
    "239.0.0.0/8",
    'destinations.cidrs[1]: "239.0.0.0/8" is multicast, which is never forwarded. Remove it.',
  ],
  [["destinations", "cidrs", 1], "example.com", 'destinations.cidrs[1]: "example.com" is not an IPv4 address or CIDR.'],
  [
    ["destinations", "cidrs", 1],
    "203.0.113.0/24",
    'destinations.cidrs[1]: "203.0.113.0/24" is in the list already, at destinations.cidrs[0]. Remove one of them.',
  ],
  [["destinations", "except", 1], "fd00::1", `destinations.except[1]: "fd00::1" ${ipv6} or CIDR.`],
  [
    ["destinations", "except", 1],
    "203.0.114.0/24",
    'destinations.except[1]: "203.0.114.0/24" is outside all destinations, so it excepts nothing. Remove it.',
  ],
  [
    ["destinations", "cidrs", 1],
    "10.0.7.0/24",
    'destinations.cidrs[1]: "10.0.7.0/24" is in "10.0.0.0/16", a network that gateway "payments" ignores. Remove it, or the network from ignore.',
  ],
  [["destinations", "except"], ["203.0.113.0/24"], nothingLeft],
  [["destinations", "except"], ["203.0.113.0/25", "203.0.113.128/25"], nothingLeft],
  [["destinations"], { except: ["0.0.0.0/0"] }, nothingLeft],
  [["destinations"], { cidrs: [], except: ["0.0.0.0/1", "128.0.0.0/1"] }, nothingLeft],
  [["destinations"], { cidrs: ["10.0.0.0/15"], except: ["10.1.0.0/16"] }, nothingLeft],
  [["egressIP"], "192.0.2.300", 'egressIP: "192.0.2.300" is not an IPv4 address.'],
  [["egressIP"], "fd00::1", `egressIP: "fd00::1" ${ipv6}.`],
  [
    ["egressIP"],
    "192.0.2.9",
    'egressIP: "192.0.2.9" is not an egress IP of gateway "payments", which has "192.0.2.1" and "192.0.2.2". Give one of these.',
  ],
  [
    ["allocation"],
    "round-robin",
    "allocation: An egressIP is given, so there is nothing to allocate. Remove egressIP or allocation.",
  ],
  [
    ["established"],
    "kepe",
    'established: "kepe" is not one of the choices. Give "keep" or "cut". Did you mean "keep"?',
  ],
  [["egressIp"], "192.0.2.2", 'egressIp: There is no such property. Did you mean "egressIP"?'],
])("%j %j is refused", (path, value, message) => {
  expect(check(path, value)).toEqual([message]);
});

test("networks that the gateway ignores together are named as such", () => {
  const ignore = ["203.0.113.0/25", "203.0.113.128/25"];
  const split = { ...egressPolicy, gateway: { ...gatewayRef, ignore }, destinations: { cidrs: ["203.0.113.0/24"] } };
  expect(validateEgressPolicy(split).map(formatProblem)).toEqual([
    'destinations.cidrs[0]: "203.0.113.0/24" is in networks that gateway "payments" ignores. Remove it, or the network from ignore.',
  ]);
});

test("of many egress IPs five are named", () => {
  const egressIPs = Array.from({ length: 9 }, (_, i) => `192.0.2.${i + 1}`);
  const input = { ...egressPolicy, gateway: { ...gatewayRef, egressIPs }, egressIP: "192.0.2.99" };
  expect(validateEgressPolicy(input).map(formatProblem)).toEqual([
    'egressIP: "192.0.2.99" is not an egress IP of gateway "payments", which has "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", … (9 in all). Give one of these.',
  ]);
});

test.each<[Path, unknown]>([
  [
    ["sources", "cidrs"],
    ["10.0.0.0/16", "10.0.1.0/24"],
  ],
  [["sources", "cidrs"], ["0.0.0.0/1"]],
  [["destinations"], {}],
  [["destinations"], { cidrs: [] }],
  [["destinations"], { cidrs: ["0.0.0.0/0"], except: ["203.0.113.9"] }],
  [["destinations"], { except: ["10.0.0.0/8"] }],
  [["destinations"], { cidrs: ["10.0.0.0/8"] }],
  [["destinations", "except"], ["203.0.0.0/17", "203.0.113.0/25"].slice(1)],
  [["egressIP"], undefined],
  [["established"], "keep"],
])("%j %j is accepted", (path, value) => {
  expect(check(path, value)).toEqual([]);
});

test("an allocation without an egress IP is accepted", () => {
  const { egressIP, ...rest } = egressPolicy;
  for (const allocation of ["default", "round-robin"])
    expect(validateEgressPolicy({ ...rest, allocation })).toEqual([]);
});
