import { HOOKS, VERDICTS } from "../../../provider/kernel/bpf-layout";
import type { KernelObject } from "../../../provider/kernel/state";
import type { GatewayState } from "../../../provider/runtime/gateway-state";
import { programReport } from "../../../provider/runtime/program-report";
import { gatewayClaim, nodeClaim, policyClaim } from "../reconcile/states";
import { hostOf, nodes, seen } from "./snapshots";

const filter = (device: string): KernelObject => ({
  kind: "tc-filter",
  device,
  direction: "ingress",
  program: "from_pod",
  of: "client 0123456789",
  behind: [],
});
/** A gateway with that datapath, as its check comes to it. */
const gateway = (answers: "tunnel" | "cluster" = "tunnel"): GatewayState => {
  const ref = { id: "egress", name: "egress", fleet: "lab", egressIPs: [], placement: {}, ignore: [], nodes: {} };
  const label = { project: "shop", stack: "prod", name: "egress" };
  const rest = { gateways: nodes(1), egressIPs: [], placement: {}, ownerId: "egress", label };
  return { ...rest, datapath: "bpf", answers, ref: { ...ref, connection: {} } };
};
const CLIENT: KernelObject = {
  kind: "bpf-program",
  object: "client",
  hash: "0123456789",
  devices: ["egw.vxlan", "eth0"],
  programs: [],
};

test("where no program carries what a gateway is for, that is told", () => {
  expect(programReport(gateway("cluster"), new Map())).toEqual([
    'gateway egress: no program carries its packets: with answers "cluster" all take the stack, as with datapath "iptables"',
  ]);
  expect(programReport(gateway(), new Map())).toEqual([]);
});

test("what programs dropped is told by hook and reason, and what had no gateway; what has just another way is not", () => {
  const { snapshot } = seen({ claims: [nodeClaim("client-1"), gatewayClaim({ datapath: "bpf" })], actual: [CLIENT] });
  if (!snapshot) throw new Error("not seen");
  const counts = [
    ["from-pod", "not-selected", 7],
    ["from-pod", "stack-no-gateway", 2],
    ["from-pod", "drop-no-gateway", 3],
    ["to-outside", "to-outside", 8],
    ["to-tunnel", "stack-no-gateway", 9],
    ["from-client", "drop-no-port", 12_345_678_901],
  ] as const;
  const verdicts = counts.map(([hook, verdict, count]): [number, number] => [
    HOOKS.indexOf(hook) * VERDICTS.length + VERDICTS.indexOf(verdict),
    count,
  ]);
  const host = hostOf({ verdicts: new Map(verdicts) });
  expect(programReport(gateway(), new Map([["n2", { snapshot: { ...snapshot, host } }]]))).toEqual([
    "gateway egress: node n2: 0 policy entries, 0 source networks; at from-pod: stack-no-gateway 2, drop-no-gateway 3; at from-client: drop-no-port 12345678901",
  ]);
});

test("what others have attached by tcx on hooks of ours is named, since no filter comes before it", () => {
  const { snapshot } = seen({ claims: [nodeClaim("client-1")], actual: [CLIENT, filter("veth1")] });
  if (!snapshot) throw new Error("not seen");
  const at = (device: string, isFirst: boolean) => ({ device, direction: "ingress", name: `on_${device}`, isFirst });
  const host = hostOf({ filters: [at("veth1", true), at("veth1", false), at("veth2", true)] });
  expect(programReport(gateway(), new Map([["n2", { snapshot: { ...snapshot, host } }]]))).toEqual([
    "gateway egress: node n2: 0 policy entries, 0 source networks; before ours, where no filter of ours can be: on_veth1 (veth1 ingress)",
  ]);
});

test("pods' devices without a program are named, and what keeps one off, be it one that a program is still on", () => {
  const claims = [
    nodeClaim("client-1"),
    gatewayClaim({ datapath: "bpf" }),
    policyClaim("policy-1", { sources: ["10.0.2.0/24"] }),
  ];
  const { snapshot } = seen({ claims, actual: [CLIENT, filter("veth1"), filter("veth3")] });
  if (!snapshot) throw new Error("not seen");
  const host = hostOf({
    routes: [1, 2, 3, 4].map((n) => `10.0.2.${n} dev veth${n} scope link`),
    notEthernet: new Map([["veth4", "none"]]),
    taken: [{ device: "veth3", direction: "ingress", by: "qdisc" }],
  });
  expect(programReport(gateway(), new Map([["n2", { snapshot: { ...snapshot, host } }]]))).toEqual([
    "gateway egress: node n2: 0 policy entries, 0 source networks; not accelerated: veth2, veth3 (an ingress qdisc), veth4 (link/none, no Ethernet)",
  ]);
});
