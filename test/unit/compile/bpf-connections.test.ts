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

/** A machine whose gateway pod is behind veth1, and pods that programs watch behind these. */
function compiled(podDevices: readonly string[], sources: readonly string[]) {
  const nodes = {
    "client-1": peer("client-1", false),
    "egress-1": { index: 105, underlay: "10.9.0.1", gateway: true, pod: true as const },
  };
  const gateway = gatewayClaim({ answers: "cluster", datapath: "bpf", nodes, placement: { "10.9.0.1": "egress-1" } });
  const facts = { ...FACTS, podDevices, carried: { "10.9.0.1": "veth1" }, loosened: { veth1: "1 2 192.168.0.11" } };
  const policies = sources.length > 0 ? [policyClaim("web", { sources, egressIP: "10.9.0.1" })] : [];
  return compileNode([nodeClaim("client-1"), gateway, ...policies], facts).map(({ object }) => object);
}

/** `device program hash` of its filters. */
const filters = (podDevices: readonly string[], sources: readonly string[] = ["10.0.1.11/32"]): string[] =>
  compiled(podDevices, sources).flatMap((o) =>
    o.kind === "tc-filter" && o.of.startsWith("connections ") ? [`${o.device} ${o.program} ${o.of}`] : [],
  );

test("a gateway pod's device is that alone, also where a policy selects who is behind it", () => {
  const one = filters(["veth2"]);
  const [pod, client] = ["veth1", "veth2"].map((device) => one.filter((line) => line.startsWith(`${device} `)));
  expect([pod?.length, client?.length, pod?.[0]?.split(" ")[3] === client?.[0]?.split(" ")[3]]).toEqual([2, 2, false]);
  expect(filters(["veth1", "veth2"], ["10.0.1.11/32", "10.9.0.0/24"])).toEqual(one);
});

test("behind the programs, which remember connections of policies that are gone, what a pod answers has to be of one that is", () => {
  const rules = (chain: string, sources: readonly string[]) =>
    compiled([], sources).flatMap((o) => (o.kind === "chain-rule" && o.chain === chain ? o : []));
  const [none, one] = [[], ["10.0.1.11/32"]];
  for (const sources of [none, one])
    expect(rules("EGRESSGATEWAY-MARK-REQUEST", sources)).toContainEqual(
      expect.objectContaining({ rule: "-i veth1 -m set ! --match-set egw-ignore src -j EGRESSGATEWAY-ANSWER" }),
    );
  const ruleAt = (sources: readonly string[], position: number) =>
    rules("EGRESSGATEWAY-ANSWER", sources).find((rule) => rule.position === position)?.rule;
  expect([rules("EGRESSGATEWAY-ANSWER", none).length, ruleAt(none, 0)]).toEqual([1, "-j DROP"]);
  expect([rules("EGRESSGATEWAY-ANSWER", one).length, ruleAt(one, 3)]).toEqual([4, "-j DROP"]);
});
