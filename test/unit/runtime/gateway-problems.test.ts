import type { NodeRef, Problem } from "../../../provider/model/args";
import type { Claim } from "../../../provider/model/claim";
import { expandEgressIPs } from "../../../provider/model/defaults";
import { gatewayProblems } from "../../../provider/runtime/gateway-problems";
import { claimOf } from "../../../provider/runtime/gateway-rollout";
import type { GatewayState } from "../../../provider/runtime/gateway-state";
import { legProblems } from "../../../provider/runtime/leg-problems";
import type { Looked } from "../../../provider/runtime/look";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";
import type { Snapshot } from "../../../provider/runtime/snapshot";
import { hostOf, nodes, seen, settings, unreachable } from "./snapshots";

const label = (name: string) => ({ project: "shop", stack: "prod", name });

/** The first of these nodes is the gateway node, the others are clients. */
function gateway(name: string, [first, ...clients]: readonly NodeRef[], ip = "198.51.100.1"): GatewayState {
  const gateways = first ? [first] : [];
  const placement = { [ip]: first?.node ?? "" };
  const ref = { id: name, name, fleet: "lab", egressIPs: [ip], placement, ignore: [], nodes: {}, connection: {} };
  return { gateways, clients, egressIPs: [ip], label: label(name), ownerId: name, placement, ref };
}

const ofRun = (tables?: { start: number; count: number }): void =>
  void memory.fleets.set("lab", { settings: settings(tables), registry: "n1", node: "n1" });
const wants = (wanted: GatewayState): void => void memory.gateways.set(wanted.ownerId, { wanted, held: undefined });
const problems = (args: GatewayState, looked: Record<string, Looked>, known: readonly string[] = []): Problem[] =>
  gatewayProblems({
    args,
    ips: expandEgressIPs(args.egressIPs),
    placement: args.placement,
    label: args.label,
    ownerId: args.ownerId,
    known: new Set(known),
    isClaiming: known.length === 0,
    looked: new Map(Object.entries(looked)),
    registry: {},
  });

beforeEach(forgetRun);

describe("a node that can't be reached", () => {
  const message = (name: string) =>
    `node ${name}: refused the connection. The gateway has never been on this node: make it reachable, or leave it out.`;
  const looked = { n1: seen({}), n2: seen({}), n3: unreachable("n3") };

  test("is refused where the gateway has never been, by its place", () => {
    const args = gateway("x", nodes(3));
    const refused = [{ path: "clients[1]", message: message("n3") }];
    expect(problems(args, looked)).toEqual(refused);
    expect(problems(args, looked, ["n1", "n2"])).toEqual(refused);
    const [one, two, three] = nodes(3);
    const last = gateway(
      "x",
      [three, one, two].flatMap((node) => node ?? []),
    );
    expect(problems(last, looked, ["n1"])).toEqual([{ path: "gateways[0]", message: message("n3") }]);
  });

  test("is drift where the gateway has been", () => {
    expect(problems(gateway("x", nodes(3)), looked, ["n1", "n2", "n3"])).toEqual([]);
  });
});

describe("routing tables", () => {
  const range = { start: 3000, count: 2 };
  const needs = (legs: number, more = "") =>
    `node n1 needs ${legs} routing tables, one for each other node that its gateways join it with, and fleet.tables has 2${more}. Raise fleet.tables.count.`;
  const left = gateway("left", nodes(3));
  const right = gateway("right", [...nodes(1), ...nodes(4).slice(3)], "198.51.100.2");
  const looked = (n1: Looked = seen({})) => new Map([["n1", n1]]);

  test("are enough for one gateway, and not for two of this run, before anything is enrolled", () => {
    ofRun(range);
    expect(legProblems(left, looked())).toEqual([]);
    wants(left);
    expect(legProblems(right, looked())).toEqual([{ path: "gateways[0]", message: needs(3) }]);
  });

  test("count those of other stacks' gateways that the node knows", () => {
    ofRun(range);
    const claims: Claim[] = [claimOf(left)];
    expect(legProblems(right, looked(seen({ claims })))).toEqual([{ path: "gateways[0]", message: needs(3) }]);
    // What this run says of a gateway counts, not what the node still has of it.
    wants(gateway("left", nodes(2)));
    expect(legProblems(right, looked(seen({ claims })))).toEqual([]);
  });

  test("of others are not free, and a leg keeps its own", () => {
    ofRun(range);
    const one = gateway("x", nodes(2));
    const two = gateway("x", nodes(3));
    expect(legProblems(one, looked(seen({ used: [3001] })))).toEqual([]);
    expect(legProblems(two, looked(seen({ used: [3001, 99] })))).toEqual([
      { path: "gateways[0]", message: needs(2, ", 1 of which others use there") },
    ]);
    expect(legProblems(two, looked(seen({ used: [], tables: { 2: 3001 } })))).toEqual([]);
    // One outside the range moves into it.
    expect(legProblems(two, looked(seen({ used: [3001], tables: { 2: 77 } })))).toHaveLength(1);
  });

  test("of a fleet of another stack are known by its nodes", () => {
    const [ref] = nodes(1);
    const claim: Claim = {
      kind: "node",
      owner: { id: "node-1", ...label("n1") },
      node: "n1",
      index: 1,
      underlay: ref?.underlayIP ?? "",
      uplink: "eth0",
      mtu: 1450,
      fleet: settings(range),
    };
    const four = gateway("x", nodes(4));
    expect(legProblems(four, looked(seen({ claims: [claim] })))).toEqual([{ path: "gateways[0]", message: needs(3) }]);
    expect(legProblems(four, looked())).toEqual([]);
  });
});

test("an egress IP inside the tunnel's network is refused", () => {
  ofRun();
  const args = { ...gateway("x", nodes(1)), egressIPs: ["198.51.100.1", "100.126.7.1-100.126.7.9"] };
  expect(problems(args, { n1: seen({}) })).toEqual([
    {
      path: "egressIPs[1]",
      message: `"100.126.7.1" is in 100.126.0.0/16, the tunnel's own network (fleet.tunnelCIDR). Give an address outside.`,
    },
  ]);
});

describe("the uplink of a gateway node", () => {
  const refused = (n1: Looked) =>
    problems(gateway("x", nodes(1)), { n1 }).map(({ path, message }) => `${path}: ${message}`);

  test("is accepted where the outside is reached by it, or by nothing", () => {
    expect(refused(seen({}))).toEqual([]);
    expect(refused(seen({ routes: ["192.0.2.0/24 dev eth0 scope link"] }))).toEqual([]);
  });

  test("is refused where the outside is reached by another device, and both are named", () => {
    const routes = ["default via 10.9.0.1 dev eth1", "192.0.2.0/24 dev eth0 scope link"];
    expect(refused(seen({ routes }))).toEqual([
      'gateways[0]: node n1 reaches the outside by "eth1", but its uplink is "eth0": an egress IP there would get no answers.',
    ]);
  });

  test("must not have the egress IP already, unless we put it there", () => {
    const addresses = [{ device: "eth0", cidr: "198.51.100.1/32" }];
    expect(refused(seen({ addresses }))).toEqual([
      "egressIPs: 198.51.100.1/32 is already an address of node n1 (eth0). An egress IP must not be a node's own address.",
    ]);
    const ours = { kind: "address", address: "198.51.100.1", device: "eth0", label: "eth0:egw" } as const;
    expect(refused(seen({ addresses, actual: [ours] }))).toEqual([]);
  });

  test("may have our egress IP with the length or peer that somebody gave it, but not a second one of others", () => {
    const ours = { kind: "address", address: "198.51.100.1", device: "eth0", label: "eth0:egw" } as const;
    for (const network of ["/30", "/32", " peer 10.9.9.9/32"]) {
      const cidr = `${ours.address}${network.startsWith("/") ? network : ""}`;
      const actual = [{ ...ours, network }];
      expect(refused(seen({ addresses: [{ device: "eth0", cidr }], actual }))).toEqual([]);
      const second = [
        { device: "eth0", cidr },
        { device: "eth0", cidr: "198.51.100.1/24" },
      ];
      expect(refused(seen({ addresses: second, actual }))).toEqual([
        "egressIPs: 198.51.100.1/24 is already an address of node n1 (eth0). An egress IP must not be a node's own address.",
      ]);
    }
  });
});

test("a gateway node without arping of iputils is refused, a client node is not", () => {
  const bare: Looked = { snapshot: { ...(seen({}).snapshot as Snapshot), host: hostOf({ missingTools: ["arping"] }) } };
  expect(problems(gateway("x", nodes(2)), { n1: seen({}), n2: bare })).toEqual([]);
  expect(problems(gateway("x", nodes(2)), { n1: bare, n2: seen({}) })).toEqual([
    {
      path: "gateways[0]",
      message: expect.stringMatching(/^node n1 has no arping of iputils, .* Install iputils-arping;/),
    },
  ]);
});

test.each([
  ["192.0.2.0", "the network or broadcast address of 192.0.2.91/24"],
  ["192.0.2.255", "the network or broadcast address of 192.0.2.91/24"],
  ["192.0.2.254", "a next hop"],
])("%s is no egress IP: %s", (ip, what) => {
  const addresses = [
    { device: "eth0", cidr: "192.0.2.91/24" },
    { device: "eth0", cidr: "192.0.2.128/31" },
  ];
  const looked = { n1: seen({ addresses }) };
  expect(problems(gateway("x", nodes(1), ip), looked)).toEqual([
    { path: "egressIPs", message: `${ip} is ${what} on node n1. Give another address.` },
  ]);
  expect(problems(gateway("x", nodes(1), "192.0.2.127"), looked)).toEqual([]);
});
