import type { KernelObject } from "../../../provider/kernel/state";
import { programReport } from "../../../provider/runtime/program-report";
import { gatewayClaim, nodeClaim, policyClaim } from "../reconcile/states";
import { hostOf, seen } from "./snapshots";

const filter = (device: string): KernelObject => ({
  kind: "tc-filter",
  device,
  direction: "ingress",
  program: "from_pod",
  of: "client 0123456789",
  behind: [],
});
const CLIENT: KernelObject = {
  kind: "bpf-program",
  object: "client",
  hash: "0123456789",
  devices: ["egw.vxlan", "eth0"],
  programs: [],
};

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
  expect(programReport("egress", new Map([["n2", { snapshot: { ...snapshot, host } }]]))).toEqual([
    "gateway egress: node n2: 0 policy entries, 0 source networks; not accelerated: veth2, veth3 (an ingress qdisc), veth4 (link/none, no Ethernet)",
  ]);
});
