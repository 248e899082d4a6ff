import type { NodeRef } from "../../../provider/model/args";
import { podRouteProblems } from "../../../provider/runtime/pod-routes";
import { nodes, seen, unreachable } from "./snapshots";

const [machine, client] = nodes(2) as [NodeRef, NodeRef];
const pod: NodeRef = {
  ...machine,
  node: "egress-1",
  underlayIP: "10.9.0.1",
  connection: { host: machine.connection.host, netns: "egress-1" },
};
const DEFAULT = "default via 192.0.2.254 dev eth0";

/** What is said of a gateway whose nodes have these routes. */
function problems(routes: Readonly<Record<string, readonly string[]>>): string[] {
  const looked = new Map(
    Object.entries(routes).map(([node, more]) => [node, seen({ routes: [DEFAULT, ...more] })] as const),
  );
  const args = { gateways: [pod], clients: [machine, client], egressIPs: ["10.9.0.1"], placement: "pod" as const };
  return podRouteProblems(args, looked).map(({ path, message }) => `${path}: ${message}`);
}

test("a node that reaches a gateway pod by a device that encapsulates is refused, both devices and a way out named", () => {
  expect(problems({ n2: ["10.9.0.0/26 via 192.0.2.91 dev tunl0 proto bird onlink"] })).toEqual([
    'clients[1]: node "n2" reaches 10.9.0.1 by "tunl0", but its uplink is "eth0": its tunnel to pod "egress-1" begins at 192.0.2.92, which would be taken for forged where it arrives. Route the pod\'s address by "eth0" there (a pool of its own, without encapsulation), or leave the node out.',
  ]);
});

test("one by the uplink is not, whatever leads to other networks; nor one that could not be seen", () => {
  expect(problems({ n2: ["10.9.0.0/26 via 192.0.2.91 dev eth0 proto bird", "10.9.0.64/26 dev tunl0"] })).toEqual([]);
  expect(problems({ n2: ["10.9.0.0/16 dev tunl0", "10.9.0.1 via 192.0.2.91 dev eth0"] })).toEqual([]);
  expect(problems({ n2: [] })).toEqual([]);
  const args = { gateways: [pod], clients: [client], egressIPs: ["10.9.0.1"] };
  expect(podRouteProblems(args, new Map([["n2", unreachable("n2")]]))).toEqual([]);
});

test("the machine of the pod has it behind its own device, without a next hop", () => {
  expect(problems({ n1: ["10.9.0.1 dev veth1 scope link"] })).toEqual([]);
  expect(problems({ n1: ["10.9.0.0/24 dev cni0 proto kernel"] })).toEqual([]);
  expect(problems({ n1: ["10.9.0.0/24 via 10.9.0.254 dev cilium_host"] })).toEqual([
    'clients[0]: node "n1" runs pod "egress-1", but reaches 10.9.0.1 by "cilium_host" and a next hop: what comes for the pod\'s tunnel would be dropped there. Give it a route to 10.9.0.1 without a next hop, by the pod\'s own device.',
  ]);
  // Of a pod that is gone nothing leads there any more.
  expect(problems({ n1: [] })).toEqual([]);
});

test("a device that another node's pod is behind does not make that node its machine", () => {
  expect(problems({ n2: ["10.9.0.1 dev veth1 scope link"] })).toEqual([
    expect.stringMatching(/^clients\[1\]: node "n2" reaches 10\.9\.0\.1 by "veth1", but its uplink/),
  ]);
});

test("a pod reaches another one by its own uplink", () => {
  const other = { ...pod, node: "egress-2", underlayIP: "10.9.0.2", connection: { host: "192.0.2.92", netns: "x" } };
  const args = { gateways: [pod, other], clients: [], egressIPs: ["10.9.0.1"] };
  const by = (device: string) => {
    const looked = new Map([["egress-1", seen({ routes: [`10.9.0.0/24 dev ${device}`] })]]);
    return podRouteProblems(args, looked).map(({ path }) => path);
  };
  expect(by("eth0")).toEqual([]);
  expect(by("net1")).toEqual(["gateways[0]"]);
});
