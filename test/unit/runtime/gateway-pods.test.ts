import type { EgressGatewayArgs, NodeRef } from "../../../provider/model/args";
import type { Claim, GatewayClaim } from "../../../provider/model/claim";
import { carriedPods } from "../../../provider/runtime/carried-pods";
import { podProblems, podsWith } from "../../../provider/runtime/gateway-pods";
import type { Looked } from "../../../provider/runtime/look";
import { looseDevices } from "../../../provider/runtime/loose-devices";
import { forgetRun } from "../../../provider/runtime/run-memory";
import { gatewayClaim, nodeClaim } from "../reconcile/states";
import { hostOf, nodes, seen, unreachable } from "./snapshots";

const [machine, plain] = nodes(2) as [NodeRef, NodeRef];
const pod = (name: string, underlayIP: string, host = plain.connection.host): NodeRef => ({
  ...plain,
  node: name,
  underlayIP,
  connection: { host, netns: name },
});
const [ONE, TWO] = [pod("egress-1", "10.9.0.1"), pod("egress-2", "10.9.0.2")];
const has = (...addresses: readonly string[]): Looked =>
  seen({ addresses: addresses.map((address) => ({ device: "eth0", cidr: `${address}/32` })) });

beforeEach(forgetRun);

test("an egress IP is where it is an address, of the uplink alone, and where it was while nobody has it", () => {
  const looked = new Map([
    ["egress-1", has("10.9.0.1", "10.9.0.9")],
    ["egress-2", unreachable("egress-2")],
  ]);
  expect(podsWith(["10.9.0.1", "10.9.0.2", "10.9.0.9"], [ONE, TWO], looked, {})).toEqual({
    "10.9.0.1": "egress-1",
    "10.9.0.2": "egress-2",
    "10.9.0.9": "egress-1",
  });
  expect(podsWith(["10.9.0.7"], [ONE, TWO], looked, { "10.9.0.7": "egress-2" })).toEqual({ "10.9.0.7": "egress-2" });
  expect(podsWith(["10.9.0.7"], [ONE, TWO], looked, { "10.9.0.7": "gone" })).toEqual({});
  const elsewhere = new Map([["egress-1", seen({ addresses: [{ device: "net1", cidr: "10.9.0.7/32" }] })]]);
  expect(podsWith(["10.9.0.7"], [ONE], elsewhere, {})).toEqual({});
});

const problems = (args: Partial<EgressGatewayArgs>, looked: Record<string, Looked>, ips = ["10.9.0.1"]): string[] => {
  const seenNodes = new Map(Object.entries(looked));
  const all = { gateways: [ONE], clients: [plain], egressIPs: ips, placement: "pod" as const, ...args };
  return podProblems(all, ips, podsWith(ips, all.gateways, seenNodes, {}), seenNodes).map(
    ({ path, message }) => `${path}: ${message}`,
  );
};

test("an address that a pod does not have is refused, and what can't be seen is not judged", () => {
  expect(problems({}, { "egress-1": has("10.9.0.1") })).toEqual([]);
  expect(problems({}, { "egress-1": has("10.9.0.3") })).toEqual([
    "egressIPs: 10.9.0.1 is no address of a gateway pod on its uplink: egress-1 has 10.9.0.3 on eth0. Give the pods' own addresses.",
  ]);
  expect(problems({}, { "egress-1": unreachable("egress-1") })).toEqual([]);
  expect(problems({}, { "egress-1": unreachable("egress-1") }, ["10.9.0.8"])).toEqual([
    expect.stringMatching(/^egressIPs: 10\.9\.0\.8 is no address .* egress-1 has not been seen/),
  ]);
});

test("the machine of a pod has to be a client", () => {
  const looked = { "egress-1": has("10.9.0.1") };
  expect(problems({ clients: [machine] }, looked)).toEqual([
    expect.stringMatching(/^gateways\[0\]: the machine that runs pod "egress-1" \(192\.0\.2\.92\) .* Enrol it/),
  ]);
  expect(problems({}, looked)).toEqual([]);
  expect(problems({ answers: "cluster" }, looked)).toEqual([]);
});

test("programs tell the connections of a pod apart that has a device of its own", () => {
  const behind = (route: string, args: Partial<EgressGatewayArgs>) => {
    const looked = { "egress-1": has("10.9.0.1"), [plain.node]: seen({ routes: [route] }) };
    return problems({ answers: "cluster", datapath: "bpf", ...args }, looked);
  };
  expect(behind("10.9.0.0/24 dev cni0 proto kernel", {})).toEqual([
    expect.stringMatching(/^gateways\[0\]: pod "egress-1" shares a device .* \(10\.9\.0\.0\/24 dev cni0\)/),
  ]);
  expect(behind("10.9.0.1 dev veth1 scope link", {})).toEqual([]);
  expect(behind("10.9.0.0/24 dev cni0 proto kernel", { answers: "tunnel" })).toEqual([]);
  expect(behind("10.9.0.0/24 dev cni0 proto kernel", { datapath: "iptables" })).toEqual([]);
});

const GATEWAY: GatewayClaim = {
  ...gatewayClaim({ answers: "cluster" }),
  nodes: {
    "client-1": { index: 11, underlay: "192.168.0.11", gateway: false },
    "egress-1": { index: 105, underlay: "10.9.0.1", gateway: true, pod: true },
  },
};
const CLAIMS: readonly Claim[] = [nodeClaim("client-1"), GATEWAY];
const ROUTES = ["default via 192.168.0.1 dev eth0", "10.0.2.0/24 via 10.0.2.0 dev flannel.1 onlink"];

test("a pod is run by the machine that has it behind a device of its own", () => {
  const carried = (route: string, claims = CLAIMS) => carriedPods(claims, hostOf({ routes: [...ROUTES, route] }));
  expect(carried("10.9.0.1 dev veth1 scope link")).toEqual({ "10.9.0.1": "veth1" });
  expect(carried("10.9.0.0/24 dev cni0 proto kernel")).toEqual({ "10.9.0.1": "cni0" });
  expect(carried("10.9.0.1 via 192.168.0.12 dev eth0")).toEqual({});
  expect(carried("10.9.0.1 dev eth0 scope link")).toEqual({});
  expect(carried("10.9.0.1 dev veth$(x) scope link")).toEqual({});
  expect(carried("10.9.0.1 dev veth1 scope link", [{ ...nodeClaim("client-1"), netns: "x" }, GATEWAY])).toEqual({});
});

describe("a device is loosened", () => {
  const strict = new Map([...["eth0", "veth1", "flannel.1"].map((device): [string, string] => [device, "1"])]);
  const addresses = [{ device: "flannel.1", cidr: "10.0.1.0/32" }];
  const routes = [...ROUTES, "10.9.0.1 dev veth1 scope link"];
  const host = hostOf({ routes, strict, addresses });

  test("where answers come by it whose sources are elsewhere; one without an address is lent one", () => {
    expect(looseDevices(CLAIMS, host)).toEqual({ "flannel.1": "1 2", veth1: "1 2 192.168.0.11" });
  });

  test("not where it is the way to the outside, nor without such a gateway, nor where it is loose", () => {
    expect(looseDevices([nodeClaim("client-1"), { ...GATEWAY, answers: undefined } as GatewayClaim], host)).toEqual({});
    expect(looseDevices(CLAIMS, hostOf({ routes, addresses, strict: new Map([["veth1", "0"]]) }))).toEqual({
      veth1: "0 2 192.168.0.11",
    });
  });

  test("and stays what it is while it is needed", () => {
    const held = { veth1: "0 2 192.168.0.11", gone: "1 2" };
    expect(looseDevices(CLAIMS, hostOf({ routes, addresses, strict: new Map() }), held)).toEqual({
      veth1: "0 2 192.168.0.11",
    });
  });
});
