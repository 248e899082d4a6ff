import type { Claim } from "../../../provider/model/claim";
import type { PolicyState } from "../../../provider/runtime/policy-state";
import { routeProblems } from "../../../provider/runtime/route-problems";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";
import { nodes, seen, settings } from "./snapshots";

const owner = { id: "node-1", project: "shop", stack: "prod", name: "n1" };
const claims: Claim[] = [
  { kind: "node", owner, node: "n1", index: 1, underlay: "192.0.2.91", uplink: "eth0", mtu: 1450, fleet: settings() },
];
const routes = [
  "default via 192.0.2.254 dev eth0",
  "172.16.0.0/12 via 192.0.2.253 dev eth0",
  "172.17.0.0/16 dev docker0 proto kernel scope link",
  "172.17.8.0/24 via 192.0.2.253 dev eth0",
  "10.0.1.11 dev veth1 scope link",
];

function found(
  cidrs: readonly string[],
  except: readonly string[] = [],
  more: readonly string[] = [],
  of = claims,
): string[] {
  const state: PolicyState = {
    gateway: {
      id: "x",
      name: "x",
      fleet: "lab",
      egressIPs: ["198.51.100.1"],
      placement: { "198.51.100.1": "n1" },
      ignore: settings().ignore,
      nodes: {},
      connection: {},
    },
    sources: { cidrs: ["10.0.1.11/32"] },
    destinations: { cidrs, except },
    label: { project: "shop", stack: "prod", name: "policy" },
    ownerId: "policy-1",
    egressIP: "198.51.100.1",
  };
  const looked = new Map([["n1", seen({ claims: of, routes: [...routes, ...more] })]]);
  return routeProblems(state, looked).map(({ path, message }) => `${path}: ${message}`);
}

const refusal = (cidr: string, device = "docker0") =>
  `destinations: node n1 reaches ${cidr} by "${device}", but 198.51.100.1 is on its uplink "eth0": answers would not come back. Except it, or remove it from the destinations.`;

test("a destination that another device leads to as a whole is refused", () => {
  expect(found(["172.17.1.0/24"])).toEqual([refusal("172.17.1.0/24")]);
  expect(found(["172.17.8.0/25", "203.0.113.0/24"])).toEqual([]);
});

test("a part of it by another device is refused, both devices named", () => {
  expect(found(["172.0.0.0/8"])).toEqual([refusal("172.17.0.0/16")]);
});

test("a part that is excepted, ignored or closer again by the uplink is none", () => {
  expect(found(["172.0.0.0/8"], ["172.17.0.0/16"])).toEqual([]);
  expect(found(["172.0.0.0/8"], ["172.17.0.0/17"])).toEqual([refusal("172.17.0.0/16")]);
  // The node's own pods are in fleet.ignore.
  expect(found(["10.0.0.0/8"])).toEqual([]);
  const halves = ["172.17.0.0/17 dev eth0", "172.17.128.0/17 dev eth0"];
  expect(found(["172.0.0.0/8"], [], halves)).toEqual([]);
});

test("of everything no part was named", () => {
  expect(found([])).toEqual([]);
  expect(found(["0.0.0.0/0"])).toEqual([]);
});

test("a node that is not enrolled yet is judged by what this run says of its gateway", () => {
  expect(found(["172.17.0.0/16"], [], [], [])).toEqual([]);
  const label = { project: "shop", stack: "prod", name: "x" };
  const ref = { id: "x", name: "x", fleet: "lab", egressIPs: [], placement: {}, ignore: [], nodes: {}, connection: {} };
  const wanted = { gateways: nodes(1), egressIPs: [], label, ownerId: "x", placement: {}, ref };
  memory.gateways.set("x", { wanted, held: undefined });
  expect(found(["172.17.0.0/16"], [], [], [])).toEqual([refusal("172.17.0.0/16")]);
  forgetRun();
});
