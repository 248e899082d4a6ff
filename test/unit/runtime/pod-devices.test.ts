import type { Claim } from "../../../provider/model/claim";
import { devicesLeftOut, podDevices } from "../../../provider/runtime/pod-devices";
import { gatewayClaim, nodeClaim, policyClaim } from "../reconcile/states";
import { hostOf } from "./snapshots";

const GATEWAY = gatewayClaim({ datapath: "bpf" });
const CLAIMS: readonly Claim[] = [
  nodeClaim("client-1"),
  GATEWAY,
  policyClaim("policy-1", { sources: ["10.0.1.11/32", "10.0.2.0/24"] }),
];
const devices = (routes: readonly string[], claims: readonly Claim[] = CLAIMS): string[] =>
  podDevices(claims, hostOf({ routes }));

test("are those of the routes to selected pods, each once, sorted", () => {
  expect(
    devices([
      "default via 192.168.0.1 dev eth0",
      "10.0.2.12 dev veth2 scope link",
      "10.0.1.11 dev veth1 scope link",
      "10.0.2.13 dev veth2 scope link",
      "10.0.1.12 dev veth3 scope link",
    ]),
  ).toEqual(["veth1", "veth2"]);
});

test("are a bridge where pods are behind one", () => {
  expect(devices(["10.0.1.0/24 dev cni0 proto kernel scope link src 10.0.1.1"])).toEqual(["cni0"]);
});

test("are none of those by which another node is reached, nor the uplink, the tunnel, lo, or a name that is no plain word", () => {
  expect(
    devices([
      "10.0.1.0/24 via 192.168.0.12 dev flannel.1 onlink",
      "10.0.2.0/26 via 192.168.0.12 dev eth0 proto bird",
      "10.0.2.64/26 dev eth0 scope link",
      "10.0.2.128/26 dev egw.vxlan scope link",
      "blackhole 10.0.1.0/26 proto bird",
      "10.0.2.3 dev lo scope link",
      "10.0.2.4 dev veth$(x) scope link",
    ]),
  ).toEqual([]);
});

test("count what a policy still selects while it changes", () => {
  const { gateway, egressIP, destinations, except } = policyClaim("policy-1");
  const also = [{ gateway, egressIP, destinations, except, sources: ["10.0.3.1/32"] }];
  const claims = [nodeClaim("client-1"), GATEWAY, policyClaim("policy-1", { also })];
  const routes = ["10.0.3.1 dev veth3 scope link", "10.0.4.1 dev veth4 scope link"];
  expect(devices(routes, claims)).toEqual(["veth3"]);
});

test("are none where no gateway has programs, and those of one that has where another has none", () => {
  const routes = ["10.0.1.11 dev veth1 scope link", "10.0.1.12 dev veth2 scope link"];
  const [node, , policy] = CLAIMS;
  const stack = gatewayClaim({}, "gateway-b");
  const other = policyClaim("policy-2", { gateway: "gateway-b", sources: ["10.0.1.12/32"] });
  const claims = [node, policy, stack, other].flatMap((claim) => claim ?? []);
  expect(devices(routes, claims)).toEqual([]);
  expect(devices(routes, [...claims, GATEWAY])).toEqual(["veth1"]);
});

test("are none without Ethernet, nor those whose packets others limit, which are told with what keeps a program off", () => {
  const routes = ["veth1", "veth2", "veth3", "veth4", "veth5", "wg0"].map(
    (device, i) => `10.0.2.${i} dev ${device} scope link`,
  );
  const host = hostOf({
    routes,
    notEthernet: new Map([
      ["wg0", "none"],
      ["lo", "loopback"],
    ]),
    taken: [
      { device: "veth1", direction: "ingress", by: "qdisc" },
      { device: "veth2", direction: "egress", by: "u32" },
      { device: "veth2", direction: "ingress", by: "flower" },
      { device: "veth5", direction: "ingress", by: "clsact" },
      { device: "veth9", direction: "ingress", by: "qdisc" },
    ],
  });
  expect(podDevices(CLAIMS, host)).toEqual(["veth3", "veth4"]);
  expect(devicesLeftOut(CLAIMS, host)).toEqual([
    ["veth1", "an ingress qdisc"],
    ["veth2", "u32 and flower filters"],
    ["veth5", "a clsact that shares its filters with other devices"],
    ["wg0", "link/none, no Ethernet"],
  ]);
});
