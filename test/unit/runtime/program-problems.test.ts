import type { Claim } from "../../../provider/model/claim";
import { compactNodes } from "../../../provider/model/compact-nodes";
import { type GatewayState, refOf } from "../../../provider/runtime/gateway-state";
import type { HostFacts } from "../../../provider/runtime/host-facts";
import type { Looked } from "../../../provider/runtime/look";
import type { PolicyState } from "../../../provider/runtime/policy-state";
import { podProgramProblems, programProblems } from "../../../provider/runtime/program-problems";
import { memory } from "../../../provider/runtime/run-memory";
import type { Snapshot } from "../../../provider/runtime/snapshot";
import { unreadProblems } from "../../../provider/runtime/unread-programs";
import { objectDigests } from "../../../provider/transport/programs";
import { gatewayClaim, nodeClaim, peer, policyClaim } from "../reconcile/states";
import { hostOf, nodes, seen, unreachable } from "./snapshots";

jest.mock("../../../provider/transport/programs", () => ({
  ...jest.requireActual("../../../provider/transport/programs"),
  objectDigests: jest.fn(),
}));
const built = { client: "1", gateway: "2", connections: "3" };
beforeEach(() => {
  jest.mocked(objectDigests).mockReturnValue(built);
  memory.stacks.clear();
});

const INPUTS = {
  gateways: nodes(1),
  clients: nodes(2).slice(1),
  egressIPs: ["198.51.100.1"],
  datapath: "bpf",
} as const;
const ARGS: GatewayState = {
  ...INPUTS,
  placement: {},
  label: { project: "shop", stack: "prod", name: "gateway-a" },
  ownerId: "gateway-a",
  ref: refOf(INPUTS, "gateway-a", "gateway-a", INPUTS.egressIPs, {}),
};
const CLAIMS: readonly Claim[] = [nodeClaim("client-1"), gatewayClaim({ datapath: "bpf" }), policyClaim("policy-1")];
const ROUTES = ["default via 192.168.0.1 dev eth0", "10.0.1.11 dev veth1 scope link"];

function nodeWith(host: Partial<HostFacts>, actual: NonNullable<Parameters<typeof seen>[0]["actual"]> = []): Looked {
  const { snapshot } = seen({ claims: CLAIMS, actual });
  if (!snapshot) throw new Error("not seen");
  return { snapshot: { ...snapshot, host: hostOf({ routes: ROUTES, ...host }) } };
}

const problems = (looked: Looked, args = ARGS) => programProblems(args, new Map([["n2", looked]]));
const texts = (host: Partial<HostFacts>): string[] => {
  return problems(nodeWith(host)).map(({ path, message }) => `${path}: ${message}`);
};

test("a node on which nothing stands in the way has none, nor has one that can't be reached", () => {
  expect(texts({})).toEqual([]);
  expect(problems(unreachable("n2"))).toEqual([]);
});

test.each(["5.4.0-150-generic", "4.19.0", "5.9"])("kernel %s is too old", (kernel) => {
  expect(texts({ kernel })).toEqual([
    `clients[0]: node n2 can't have datapath "bpf": its kernel is ${kernel}, and the programs need Linux 5.10. Or give datapath "iptables".`,
  ]);
});

test.each(["5.10.0-28-amd64", "6.1", "10.0.1"])("kernel %s will do", (kernel) => {
  expect(texts({ kernel })).toEqual([]);
});

test("tools that are missing are named with their packages, others' are not", () => {
  expect(texts({ missingTools: ["bpftool", "tc", "arping"] })).toEqual([
    'clients[0]: node n2 can\'t have datapath "bpf": tc, bpftool not found, or not for this kernel. Install iproute2, bpftool there. Or give datapath "iptables".',
  ]);
});

test.each([
  ["bpffs", "no BPF file system. Mount one: mount -t bpf bpf /sys/fs/bpf."],
  ["big-endian", "its CPU is big-endian, and the programs are not."],
  [
    "ipsec",
    "it has IPsec policies (ip xfrm policy), and what the programs send meets none: it would leave unencrypted. Give these an interface (if_id) or a mark.",
  ],
])("a node that is unfit is refused: %s", (unfit, reason) => {
  expect(texts({ unfit: [unfit] })).toEqual([
    `clients[0]: node n2 can't have datapath "bpf": ${reason} Or give datapath "iptables".`,
  ]);
});

describe("programs of others", () => {
  const filters = [
    { device: "veth1", direction: "ingress", name: "cil_from_container" },
    { device: "veth1", direction: "egress", name: "theirs" },
    { device: "veth9", direction: "ingress", name: "theirs" },
    { device: "eth0", direction: "ingress", name: "cil_from_netdev" },
  ];

  const refused = (names: string) => [
    `clients[0]: node n2 can't have datapath "bpf": programs of others take the same packets: ${names}. Their rules would be passed by, or ours. Or give datapath "iptables".`,
  ];

  test("are refused where ours would come to stand for the first time", () => {
    const { snapshot } = nodeWith({ filters });
    const claims = CLAIMS.filter(({ kind }) => kind === "node");
    const fresh = snapshot && problems({ snapshot: { ...snapshot, claims } });
    expect(fresh?.map(({ path, message }) => `${path}: ${message}`)).toEqual(refused("cil_from_netdev (eth0 ingress)"));
    const bare = snapshot && problems({ snapshot: { ...snapshot, claims: [] } });
    expect(bare?.map(({ path, message }) => `${path}: ${message}`)).toEqual(refused("cil_from_netdev (eth0 ingress)"));
    expect(texts({ filters })).toEqual(refused("cil_from_container (veth1 ingress)"));
  });

  test("are refused where policies of other stacks select pods, when their gateway turns; where a policy of this stack does, by its own check", () => {
    const { snapshot } = nodeWith({ filters: filters.slice(0, 1) });
    const claims = [nodeClaim("client-1"), gatewayClaim(), policyClaim("policy-1")];
    const told = () => snapshot && problems({ snapshot: { ...snapshot, claims } }).map(({ message }) => message);
    expect(told()).toEqual([expect.stringContaining("take the same packets: cil_from_container (veth1 ingress).")]);
    memory.stacks.add("shop/prod");
    expect(told()).toEqual([]);
  });

  test("on what a node sends by its uplink are refused where programs of ours come to stand: on gateway nodes, and where the cluster leads answers", () => {
    const { snapshot } = nodeWith({ filters: [{ device: "eth0", direction: "egress", name: "count_out" }] });
    const claims = CLAIMS.filter(({ kind }) => kind === "node");
    const told = (change: Partial<GatewayState>) =>
      snapshot && problems({ snapshot: { ...snapshot, claims } }, { ...ARGS, ...change }).map(({ message }) => message);
    const refused = [expect.stringContaining("take the same packets: count_out (eth0 egress).")];
    expect(told({})).toEqual([]);
    expect(told({ gateways: nodes(2), clients: [] })).toEqual(refused);
    const inPods = nodes(1).map((one) => ({ ...one, connection: { ...one.connection, netns: "gateway-pod" } }));
    expect(told({ answers: "cluster", gateways: inPods })).toEqual(refused);
    const known = (gateway: boolean) =>
      gatewayClaim({ datapath: "bpf", nodes: { n2: { ...peer("client-1", gateway), gateway } } });
    const later = (known: Claim) =>
      snapshot &&
      problems(
        { snapshot: { ...snapshot, claims: [nodeClaim("client-1"), known] } },
        { ...ARGS, gateways: nodes(2), clients: [] },
      ).map(({ message }) => message);
    expect(later(known(false))).toEqual(refused);
    expect(later(known(true))).toEqual([]);
  });

  test("are refused on the tunnel's device, where they were before the first of ours", () => {
    const { snapshot } = nodeWith({ filters: [{ device: "egw.vxlan", direction: "egress", name: "count_out" }] });
    const told = (claims: readonly Claim[]) =>
      snapshot && problems({ snapshot: { ...snapshot, claims } }).map(({ message }) => message);
    const refused = [expect.stringContaining("take the same packets: count_out (egw.vxlan egress).")];
    expect(told([nodeClaim("client-1"), gatewayClaim()])).toEqual(refused);
    expect(told(CLAIMS)).toEqual([]);
    // The only gateway node sends nothing by it but answers.
    const only = snapshot && { snapshot: { ...snapshot, claims: [nodeClaim("client-1"), gatewayClaim()] } };
    expect(only && problems(only, { ...ARGS, gateways: nodes(2).slice(1), clients: [] })).toEqual([]);
  });

  test("are refused on the devices of pods with the first policy that selects these", () => {
    const { snapshot } = nodeWith({ filters });
    if (!snapshot) throw new Error("not seen");
    const ref = { id: "gateway-a", ...compactNodes(nodes(2)) } as PolicyState["gateway"];
    const state = {
      gateway: ref,
      ownerId: "policy-1",
      egressIP: "192.0.2.1",
      sources: {},
      label: { project: "shop", stack: "prod", name: "one" },
    } as PolicyState;
    const claims = [nodeClaim("client-1"), gatewayClaim({ datapath: "bpf" }, "gateway-a")];
    const told = (sources: string[], change: Partial<Snapshot> = {}) => {
      const looked = new Map([["n2", { snapshot: { ...snapshot, claims, ...change } }]]);
      return podProgramProblems({ ...state, sources: { cidrs: sources } }, looked).map(({ message }) => message);
    };
    expect(told(["10.0.1.0/24"])).toEqual([
      'programs of others take the same packets: cil_from_container (veth1 ingress) on node n2. Their rules would be passed by, or ours. Give its gateway datapath "iptables".',
    ]);
    expect(told(["10.0.2.0/24"])).toEqual([]);
    expect(told(["10.0.1.0/24"], { claims: [nodeClaim("client-1"), gatewayClaim({}, "gateway-a")] })).toEqual([]);
    // Where pods have programs, those of new ones stand in front of what the CNI gives them.
    const node = { version: 1, tables: {}, dropPolicies: [], podDevices: ["veth7"], restore: {} } as const;
    expect(told(["10.0.1.0/24"], { node })).toEqual([]);
    const later = problems({ snapshot: { ...snapshot, node } });
    expect(later).toEqual([]);
  });

  test("are drift where ours have been, even if these are gone", () => {
    const { snapshot } = nodeWith({ filters });
    const node = { version: 1, tables: {}, dropPolicies: [], podDevices: ["veth1"], restore: {} } as const;
    expect(snapshot && problems({ snapshot: { ...snapshot, node } })).toEqual([]);
  });

  test("are drift where ours stand already", () => {
    const ours = ["veth1", "eth0"].map((device) => ({
      kind: "tc-filter" as const,
      device,
      direction: "ingress" as const,
      program: "from_pod",
      of: "client 0123456789",
      behind: [],
    }));
    expect(problems(nodeWith({ filters }, ours))).toEqual([]);
  });
});

test("programs that were not built are refused for all nodes at once", () => {
  jest.mocked(objectDigests).mockReturnValue({ ...built, gateway: "none" });
  expect(problems(nodeWith({}))).toEqual([
    {
      path: "datapath",
      message: expect.stringMatching(/^the package has no programs .* or give datapath "iptables"\.$/),
    },
  ]);
  expect(problems(nodeWith({}), { ...ARGS, datapath: "iptables" })).toEqual([]);
});

test("of programs that can't be read that alone is told, whatever the datapath", () => {
  const unread = { missingTools: ["bpftool"], unfit: ["programs-unread"] };
  expect(texts(unread)).toEqual([]);
  const message =
    "node n2: programs of ours are on it, and without a bpftool that runs they can be neither read nor changed. Install bpftool there.";
  expect(unreadProblems(new Map([["n2", nodeWith(unread)]]), () => "gateway")).toEqual([{ path: "gateway", message }]);
  expect(unreadProblems(new Map([["n2", nodeWith({ missingTools: ["bpftool"] })]]), () => "gateway")).toEqual([]);
});

describe("a device that has to have programs", () => {
  const refused = (why: string) => [
    `clients[0]: node n2 can't have datapath "bpf": ${why} Or give datapath "iptables".`,
  ];
  const noEthernet = (device: string) => ({ notEthernet: new Map([[device, "none"]]) });
  const limited = (device: string, by = "qdisc") => ({ taken: [{ device, direction: "ingress", by }] });

  test("is refused without an Ethernet header, and with an ingress qdisc or a clsact of several", () => {
    expect(texts(noEthernet("eth0"))).toEqual(
      refused('its uplink "eth0" is link/none, and the programs read Ethernet.'),
    );
    expect(texts(limited("eth0"))).toEqual(
      refused(
        'its uplink "eth0" has an ingress qdisc, where theirs would be. Remove it: tc qdisc del dev eth0 ingress.',
      ),
    );
    expect(texts(limited("eth0", "clsact"))).toEqual(
      refused(
        'its uplink "eth0" has a clsact that shares its filters with other devices, where theirs would be. Remove it: tc qdisc del dev eth0 clsact.',
      ),
    );
    expect(texts(limited("egw.vxlan"))).toEqual(
      refused(
        'its device "egw.vxlan" has an ingress qdisc, where theirs would be. Remove it: tc qdisc del dev egw.vxlan ingress.',
      ),
    );
  });

  test("is none of the pods' own, nor any other", () => {
    expect(texts({ ...noEthernet("veth1"), ...limited("veth1") })).toEqual([]);
    expect(texts({ ...noEthernet("wg0"), ...limited("eth1") })).toEqual([]);
  });

  test("is one around gateway pods whose answers come by the cluster", () => {
    const ROUTES_AROUND = [...ROUTES, "10.0.3.0/24 via 192.0.2.93 dev tunl0", "10.0.4.1 dev veth4 scope link"];
    const pod = { ...nodes(1)[0], underlayIP: "10.0.4.1", connection: { host: "192.0.2.91", netns: "pod" } };
    const args = { ...ARGS, answers: "cluster", gateways: [{ ...nodes(1)[0], ...pod }] } as GatewayState;
    const host = {
      routes: ROUTES_AROUND,
      strict: new Map([["tunl0", "1"]]),
      ...noEthernet("tunl0"),
      ...limited("veth4"),
    };
    const told = (given: GatewayState) => problems(nodeWith(host), given).map(({ message }) => message);
    expect(told(args)).toEqual([
      expect.stringContaining('its device "veth4" has an ingress qdisc'),
      expect.stringContaining('its device "tunl0" is link/none'),
    ]);
    expect(told({ ...args, answers: "tunnel" })).toEqual([]);
  });
});

test("filters of other kinds are refused on the uplink as programs of others are", () => {
  const { snapshot } = nodeWith({ taken: [{ device: "eth0", direction: "ingress", by: "flower" }] });
  const claims = CLAIMS.filter(({ kind }) => kind === "node");
  const told = snapshot && problems({ snapshot: { ...snapshot, claims } });
  expect(told?.map(({ path, message }) => `${path}: ${message}`)).toEqual([
    `clients[0]: node n2 can't have datapath "bpf": programs of others take the same packets: flower filters (eth0 ingress). Their rules would be passed by, or ours. Or give datapath "iptables".`,
  ]);
});

test("a gateway without programs asks for nothing of this", () => {
  const bare = nodeWith({ kernel: "4.19", missingTools: ["tc"], unfit: ["bpffs"] });
  expect(problems(bare, { ...ARGS, datapath: "iptables" })).toEqual([]);
  const { datapath: _, ...rest } = ARGS;
  expect(problems(bare, rest)).toEqual([]);
});
