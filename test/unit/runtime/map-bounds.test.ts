import { policyEntries } from "../../../provider/compile/bpf-policies";
import { formatAddress } from "../../../provider/model/address";
import type { Problem } from "../../../provider/model/args";
import type { Claim, GatewayClaim, PolicyClaim } from "../../../provider/model/claim";
import { egressIPBoundProblems } from "../../../provider/runtime/egress-ip-bounds";
import type { GatewayState } from "../../../provider/runtime/gateway-state";
import type { Looked } from "../../../provider/runtime/look";
import { boundOf, othersBoundProblems, policyBoundProblems, policyReport } from "../../../provider/runtime/map-bounds";
import type { PolicyState } from "../../../provider/runtime/policy-state";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";
import { gatewayClaim, policyClaim } from "../reconcile/states";
import { nodes, seen } from "./snapshots";

jest.mock("../../../provider/compile/bpf-policies", () => {
  const real = jest.requireActual("../../../provider/compile/bpf-policies");
  return { ...real, policyEntries: jest.fn(real.policyEntries) };
});
// As the real ones, and smaller.
jest.mock("../../../provider/kernel/bpf-layout", () => {
  const real = jest.requireActual("../../../provider/kernel/bpf-layout");
  const smaller = Object.fromEntries(
    ["egw_policies", "egw_sources"].map((map) => [map, { ...real.MAPS[map], entries: 16_384 }]),
  );
  return { ...real, MAPS: { ...real.MAPS, ...smaller } };
});

const most = boundOf("egw_policies");
const labelled = (name: string) => ({ project: "shop", stack: "prod", name });
/** So many addresses, one in two, so that none make a network. */
const addresses = (count: number, first = 0x0a000000): string[] =>
  Array.from({ length: count }, (_, i) => `${formatAddress(first + 2 * i)}/32`);

function gateway(
  name: string,
  ips: number,
  datapath: "bpf" | "iptables" = "bpf",
  gateways = nodes(1),
  answers: "tunnel" | "cluster" = "tunnel",
): GatewayState {
  const placement = Object.fromEntries(addresses(ips).map((ip) => [`${name} ${ip}`, "n1"]));
  const ref = { id: name, name, fleet: "lab", egressIPs: [], placement, ignore: [], nodes: {}, connection: {} };
  const wanted = { gateways, egressIPs: [], datapath, answers, label: labelled(name), ownerId: name, placement, ref };
  memory.gateways.set(name, { wanted, held: undefined });
  return wanted;
}

/** A policy with these sources and destinations, as its check comes to it. */
function policy(
  name: string,
  sources: readonly string[],
  destinations: readonly string[],
  through = "egress",
): PolicyState {
  const rest = { gateway: through, except: [], ignore: [], egressIP: "192.0.2.1", fleet: "lab" };
  memory.policies.set(name, { label: name, sources, destinations, ...rest });
  const ref = { id: through } as PolicyState["gateway"];
  const state = { label: labelled(name), ownerId: name, egressIP: "192.0.2.1" };
  return { gateway: ref, sources: { cidrs: sources }, ...state };
}
const check = (...args: Parameters<typeof policy>): Problem[] => policyBoundProblems(policy(...args), new Map());
/** The same with these claims on node n1. */
const checkWith = (claims: readonly Claim[], ...args: Parameters<typeof policy>): string[] =>
  policyBoundProblems(policy(...args), new Map([["n1", seen({ claims })]])).map(({ message }) => message);

beforeEach(forgetRun);

describe("policies", () => {
  const half = most / 512;

  test("that fill the map are taken, the one that comes on top is refused with what it makes together", () => {
    gateway("egress", 1);
    expect(check("one", addresses(512), addresses(half, 0xc0000000))).toEqual([]);
    expect(check("two", ["10.200.0.0/16"], ["203.0.113.0/24"])).toEqual([
      {
        path: "sources",
        message: `with policy "two" node n1 would have ${most + 1} entries (sources times destinations) and the maps of its programs hold ${most}. Give fewer or wider networks, or its gateways datapath "iptables".`,
      },
    ]);
  });

  test("of all gateways of a node count, if these have programs", () => {
    for (const name of ["egress", "other"]) gateway(name, 1);
    gateway("stack", 1, "iptables");
    gateway("elsewhere", 1, "bpf", nodes(2).slice(1));
    expect(check("one", addresses(512), addresses(half, 0xc0000000))).toEqual([]);
    for (const through of ["egress", "other"]) {
      const found = check("two", ["10.200.0.0/16"], ["203.0.113.0/24"], through);
      expect(found.map(({ message }) => message)).toEqual([expect.stringContaining(`would have ${most + 1} entries`)]);
      memory.policies.delete("two");
    }
    for (const through of ["stack", "elsewhere"])
      expect(check("two", ["10.200.0.0/16"], ["203.0.113.0/24"], through)).toEqual([]);
  });

  test("count with what the node has till they have changed, of other stacks too", () => {
    gateway("egress", 1);
    const [sources, destinations] = [addresses(512), addresses(half, 0xc0000000)];
    const had = (id: string, change: Partial<PolicyClaim>): PolicyClaim =>
      policyClaim(id, { gateway: "egress", sources, destinations, egressIP: "192.0.2.1", ...change });
    expect(checkWith([had("one", {})], "one", sources, destinations)).toEqual([]);
    expect(checkWith([had("one", {})], "one", sources, addresses(half, 0xd0000000))).toEqual([
      `with policy "one" node n1 would have ${2 * most} entries (sources times destinations), with what it has till then, and the maps of its programs hold ${most}. Give fewer or wider networks, change them in two steps, or its gateways datapath "iptables".`,
    ]);
    const [also] = [{ ...had("one", {}), sources: ["10.201.0.0/16"] }];
    expect(checkWith([had("one", { also: [also] })], "one", sources, destinations)).toEqual([
      expect.stringContaining(`would have ${most + half} entries`),
    ]);
    forgetRun();
    gateway("egress", 1);
    expect(checkWith([had("theirs", {})], "two", ["10.200.0.0/16"], ["203.0.113.0/24"])).toEqual([
      expect.stringContaining(`would have ${most + 1} entries`),
    ]);
  });

  test("of other stacks are refused with the gateway that comes to have programs, those of this stack by their own checks", () => {
    const [sources, destinations] = [addresses(513), addresses(half, 0xc6000000)];
    const claims = [policyClaim("theirs", { gateway: "egress", sources, destinations })];
    const told = (datapath: "bpf" | "iptables") =>
      othersBoundProblems(gateway("egress", 1, datapath), new Map([["n1", seen({ claims })]]));
    expect(told("iptables")).toEqual([]);
    expect(told("bpf")).toEqual([
      {
        path: "datapath",
        message: `with datapath "bpf" node n1 would have ${most + half} entries (sources times destinations) and the maps of its programs hold ${most}. Give fewer or wider networks, or its gateways datapath "iptables".`,
      },
    ]);
    const has = gatewayClaim({ datapath: "bpf" }, "egress");
    const known = new Map([["n1", seen({ claims: [...claims, has] })]]);
    expect(othersBoundProblems(gateway("egress", 1), known)).toEqual([]);
    memory.stacks.add("shop/prod");
    expect(told("bpf")).toEqual([]);
    memory.stacks.clear();
  });

  test("of other stacks for everything are counted without what the fleet never selects, its nodes among it", () => {
    const claims = [
      policyClaim("theirs", { gateway: "egress", sources: addresses(1250), destinations: ["0.0.0.0/0"] }),
    ];
    const looked = new Map([["n1", seen({ claims })]]);
    expect(othersBoundProblems(gateway("egress", 1, "bpf", nodes(30)), looked)).toEqual([]);
    const elsewhere = nodes(30).map((node, i) => ({ ...node, underlayIP: `203.0.113.${2 * i}` }));
    expect(othersBoundProblems(gateway("egress", 1, "bpf", elsewhere), looked)).toHaveLength(1);
  });

  test("that go over to a gateway without programs are exceptions from what they were till then", () => {
    gateway("egress", 1);
    gateway("plain", 1, "iptables");
    const sources = addresses(62);
    const was = { ...policyClaim("one", { gateway: "egress" }), sources, destinations: ["0.0.0.0/0"] };
    const moves = (count: number) => checkWith([was], "one", sources, addresses(count, 0xc0000000), "plain");
    expect(moves(200)).toEqual([]);
    expect(moves(300)).toEqual([expect.stringContaining("with what it has till then")]);
    const taken = checkWith([was], "another", sources, addresses(300, 0xc0000000), "plain");
    expect(taken).toEqual([expect.stringContaining("with what it has till then")]);
    expect(checkWith([], "one", sources, addresses(300, 0xc0000000), "plain")).toEqual([]);
  });

  test("without programs count for nothing beside one with, be their checks still to come", () => {
    gateway("egress", 1);
    gateway("plain", 1, "iptables");
    const theirs = Array.from({ length: 6 }, (_, i) => ({
      ...policyClaim(`plain-${i}`, { gateway: "plain" }),
      sources: addresses(1000, 0x0b000000 + i * 0x10000),
      destinations: addresses(50, 0xc0000000),
    }));
    jest.mocked(policyEntries).mockClear();
    expect(checkWith(theirs, "one", ["10.0.1.11/32"], ["203.0.113.0/24"])).toEqual([]);
    // Alone, of one source each, and never all together.
    expect(jest.mocked(policyEntries).mock.calls.map(([rules]) => rules.length)).toEqual(theirs.map(() => 1).concat(1));
  });

  test("of a gateway that is none of this run's count as the node knows it", () => {
    const theirs = (datapath: "bpf" | undefined) =>
      gatewayClaim({ nodes: { n1: { index: 1, underlay: "192.0.2.91", gateway: true } }, datapath }, "theirs");
    const [sources, destinations] = [addresses(513), addresses(half, 0xc0000000)];
    expect(checkWith([theirs("bpf")], "one", sources, destinations, "theirs")).toHaveLength(1);
    expect(checkWith([theirs(undefined)], "one", sources, destinations, "theirs")).toEqual([]);
    const known = new Map([["n1", seen({ claims: [theirs("bpf")] })]]);
    expect(policyReport(policy("two", ["10.0.1.11/32"], ["203.0.113.0/24"], "theirs"), known)).toHaveLength(1);
  });

  test("have the entries of each network around their sources as well", () => {
    gateway("egress", 1);
    expect(check("one", ["10.0.0.0/8"], addresses(most / 2, 0xc0000000))).toEqual([]);
    const within = check("two", ["10.1.0.0/16"], ["203.0.113.0/24"]);
    expect(within.map(({ message }) => message)).toEqual([expect.stringContaining(`have ${most + 1} entries`)]);
    expect(check("two", ["11.1.0.0/16"], ["203.0.113.0/24"])).toEqual([]);
  });

  test("that share their sources share entries", () => {
    gateway("egress", 1);
    expect(check("one", addresses(512), addresses(half, 0xc0000000))).toEqual([]);
    expect(check("two", addresses(512), addresses(half, 0xc0000000))).toEqual([]);
  });

  test("have room for as many networks as sources", () => {
    gateway("egress", 1);
    const networks = addresses(most + 1, 0x01000000).map((address) => address.replace("/32", "/31"));
    expect(check("one", networks.slice(1), [])).toEqual([]);
    expect(check("one", networks, []).map(({ message }) => message)).toEqual([
      expect.stringContaining(`have ${most + 1} source networks and the maps of its programs hold ${most}.`),
    ]);
  });

  test("of a gateway without programs, or one that nobody has declared, have no such bound", () => {
    const destinations = addresses(half + 1, 0xc0000000);
    expect(check("one", addresses(512), destinations)).toEqual([]);
    gateway("egress", 1, "iptables");
    expect(check("one", addresses(512), destinations)).toEqual([]);
    gateway("egress", 1, "bpf", nodes(1), "cluster");
    expect(check("one", addresses(512), destinations)).toEqual([]);
    gateway("egress", 1);
    expect(check("one", addresses(512), destinations)).toHaveLength(1);
  });
});

test("single addresses that are left to the stack inside of a wide source need room", () => {
  gateway("egress", 1);
  gateway("stack", 1, "iptables");
  const tell = (count: number) => {
    policy("wide", ["10.0.0.0/8"], ["203.0.113.0/24"]);
    return policyBoundProblems(policy("left", addresses(count), ["198.51.100.0/24"], "stack"), new Map());
  };
  expect(tell(most - 1)).toEqual([]);
  expect(tell(most)).toHaveLength(1);
});

test("a preview says how many entries a policy comes to, where programs have them", () => {
  gateway("egress", 1);
  gateway("stack", 1, "iptables");
  const [sources, destinations] = [
    ["10.0.1.11/32", "10.0.1.12/32"],
    ["203.0.113.0/24", "198.51.100.0/24"],
  ];
  const withNetwork = ["10.200.0.0/16", ...(sources ?? [])];
  expect([
    ...policyReport(policy("one", sources ?? [], destinations ?? []), new Map()),
    ...policyReport(policy("two", withNetwork, destinations ?? []), new Map()),
    ...policyReport(policy("three", sources ?? [], destinations ?? [], "stack"), new Map()),
  ]).toEqual([
    "policy one: 4 policy entries and 0 source networks on each node",
    "policy two: 6 policy entries and 1 source networks on each node",
  ]);
});

describe("a node holds so many egress IPs of all gateways with programs", () => {
  const told = (count: number, more = "", steps = "") => [
    {
      path: "egressIPs",
      message: `node n1 would hold ${count} egress IPs of gateways with datapath "bpf"${more} and its programs hold 4096. Place some on other nodes${steps}, or give datapath "iptables".`,
    },
  ];
  const bare = new Map<string, Looked>();
  /** A node that has a gateway with so many, as `gateway` of this name would have them. */
  const having = (name: string, ips: number, change: Partial<GatewayClaim> = {}) => {
    const placement = Object.fromEntries(addresses(ips).map((ip) => [`${name} ${ip}`, "n1"]));
    return new Map([["n1", seen({ claims: [gatewayClaim({ datapath: "bpf", placement, ...change }, name)] })]]);
  };

  test("of a run", () => {
    for (const name of ["a", "b", "c"]) gateway(name, 1024);
    gateway("stack", 1024, "iptables");
    expect(egressIPBoundProblems(gateway("d", 1024), bare)).toEqual([]);
    expect(egressIPBoundProblems(gateway("e", 1), bare)).toEqual(told(4097));
  });

  test("of other stacks, and of this one what is on the node already", () => {
    expect(egressIPBoundProblems(gateway("a", 1), having("theirs", 4095))).toEqual([]);
    expect(egressIPBoundProblems(gateway("a", 2), having("theirs", 4095))).toEqual(told(4097));
    expect(egressIPBoundProblems(gateway("a", 2), having("theirs", 4095, { datapath: undefined }))).toEqual([]);
    expect(egressIPBoundProblems(gateway("a", 4096), having("a", 4096))).toEqual([]);
  });

  test("while a run changes them, with those that are to go", () => {
    const one = { placement: { ...gateway("a", 4095).placement, another: "n1" } };
    const state = { ...gateway("a", 4095), ...one };
    const till = [", with those that it has till then,", ", change them in two steps"] as const;
    expect(egressIPBoundProblems(state, having("a", 4096))).toEqual(told(4097, ...till));
    memory.stacks.add("shop/prod");
    const mine = { owner: { id: "gone", ...labelled("gone") } };
    expect(egressIPBoundProblems(gateway("a", 2), having("gone", 4095, mine))).toEqual(told(4097, ...till));
    memory.stacks.clear();
  });
});
