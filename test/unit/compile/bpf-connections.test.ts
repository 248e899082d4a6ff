import { connectionConstants } from "../../../provider/compile/bpf-connections";
import { compileNode } from "../../../provider/compile/node";
import { FACTS, gatewayClaim, nodeClaim, peer, policyClaim } from "../reconcile/states";

const NODE = { fleet: { tunnelPort: 4790 } };
const words = (role: Parameters<typeof connectionConstants>[1]) =>
  Object.values(connectionConstants(NODE, role)).map(({ value }) => value);

test.each([
  ["a device of the node", {}, 0, "0.0.0.0"],
  ["a client's device", { isClient: true as const }, 1, "0.0.0.0"],
  ["a gateway pod's device", { gatewayPod: "10.0.2.20" }, 2, "10.0.2.20"],
])("%s has its flags and addresses, and is not traced", (_, role, flags, pod) => {
  expect(words(role)).toEqual([flags, pod, 4790, 0]);
});

/** `device program hash` of the filters of a machine whose gateway pod is behind veth1, and pods that programs watch behind these. */
function filters(podDevices: readonly string[], sources: readonly string[] = ["10.0.1.11/32"]): string[] {
  const nodes = {
    "client-1": peer("client-1", false),
    "egress-1": { index: 105, underlay: "10.9.0.1", gateway: true, pod: true as const },
  };
  const gateway = gatewayClaim({ answers: "cluster", datapath: "bpf", nodes, placement: { "10.9.0.1": "egress-1" } });
  const facts = { ...FACTS, podDevices, carried: { "10.9.0.1": "veth1" }, loosened: { veth1: "1 2 192.168.0.11" } };
  const claims = [nodeClaim("client-1"), gateway, policyClaim("web", { sources, egressIP: "10.9.0.1" })];
  return compileNode(claims, facts).flatMap(({ object: o }) =>
    o.kind === "tc-filter" && o.of.startsWith("connections ") ? [`${o.device} ${o.program} ${o.of}`] : [],
  );
}

test("a gateway pod's device is that alone, also where a policy selects who is behind it", () => {
  const one = filters(["veth2"]);
  const [pod, client] = ["veth1", "veth2"].map((device) => one.filter((line) => line.startsWith(`${device} `)));
  expect([pod?.length, client?.length, pod?.[0]?.split(" ")[3] === client?.[0]?.split(" ")[3]]).toEqual([2, 2, false]);
  expect(filters(["veth1", "veth2"], ["10.0.1.11/32", "10.9.0.0/24"])).toEqual(one);
});
