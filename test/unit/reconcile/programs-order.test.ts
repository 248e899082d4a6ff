import type { Claim } from "../../../provider/model/claim";
import { plan } from "../../../provider/reconcile/plan";
import type { Step } from "../../../provider/reconcile/step";
import { compile, FACTS, gatewayClaim, type NodeName, nodeClaim, policyClaim } from "./states";

const [FIRST, SECOND] = ["192.0.2.1", "192.0.2.2"] as const;
const POD = "10.0.1.11/32";

function stepsOf(node: NodeName, before: readonly Claim[], after: readonly Claim[]): Step[] {
  const objects = (claims: readonly Claim[]) =>
    compile({
      name: "",
      claims: [nodeClaim(node), ...claims],
      facts: { ...FACTS, podDevices: ["veth1"] },
      nodeOwner: "",
    }).map(({ object }) => object);
  return plan(objects(after), objects(before));
}

const withPrograms = gatewayClaim({ datapath: "bpf" });
const without = gatewayClaim({});
const policy = policyClaim("policy-1", { sources: [POD] });
const places = (steps: readonly Step[], isOne: (step: Step) => boolean): number[] =>
  steps.flatMap((step, i) => (isOne(step) ? [i] : []));
const programsOf = ({ input }: Step): string[] => input.map((line) => line.split(" ")[3] ?? "");

describe.each<NodeName>(["client-1", "gateway-1"])("on %s", (node) => {
  test("programs come when rules, maps and entries stand", () => {
    const steps = stepsOf(node, [], [withPrograms, policy]);
    const [attached = -1] = places(steps, ({ tool }) => tool === "tc");
    expect(attached).toBeGreaterThan(0);
    for (const tool of ["iptables", "ipset", "ip", "bpf-map", "bpf-entry", "bpf-program"] as const)
      expect({ tool, after: places(steps, (step) => step.tool === tool).filter((at) => at > attached) }).toEqual({
        tool,
        after: [],
      });
  });

  test("they go when what they carry is cut, and maps that they use after them", () => {
    const steps = stepsOf(node, [withPrograms, policy], [without, policy]);
    const gone = places(steps, ({ tool }) => tool === "tc");
    expect(gone).not.toEqual([]);
    for (const { tool, isAfterCuts } of steps)
      if (tool.startsWith("bpf") || tool === "tc") expect({ tool, isAfterCuts }).toEqual({ tool, isAfterCuts: true });
    for (const tool of ["bpf-program", "bpf-map"] as const)
      expect(places(steps, (step) => step.tool === tool).every((at) => at > Math.max(...gone))).toBe(true);
  });
});

test("what answers comes before what begins, and what keeps the stack off its ports behind both; they go the other way round", () => {
  const filters = (steps: readonly Step[]) => steps.filter(({ tool }) => tool === "tc").flatMap(programsOf);
  const come = filters(stepsOf("gateway-1", [], [withPrograms, policy]));
  expect(come).toEqual([
    ...["from_gateway", "from_outside", "uplink_client"],
    ...["to_tunnel", "from_client", "uplink_gateway", "from_pod"],
    "to_outside",
  ]);
  expect(filters(stepsOf("gateway-1", [withPrograms, policy], [without, policy]))).toEqual([...come].reverse());
});

const lengths = (steps: readonly Step[], verb: string): number[] =>
  steps
    .filter(({ tool }) => tool === "bpf-entry")
    .flatMap(({ input }) => input)
    .filter((line) => line.startsWith(`${verb} egw_policies `))
    .map((line) => Number.parseInt(line.split(" ")[2]?.slice(0, 2) ?? "", 16) - 32);

test("of networks within each other the narrowest comes first and goes last: no address has a third way between its two", () => {
  const wide = policyClaim("policy-1", { sources: [POD], destinations: [], egressIP: FIRST });
  const split = [
    policyClaim("policy-1", { sources: [POD], destinations: ["203.0.0.0/8"], egressIP: FIRST }),
    policyClaim("policy-2", { sources: [POD], destinations: [], except: ["203.0.0.0/8"], egressIP: SECOND }),
  ];
  const gateway = gatewayClaim({ datapath: "bpf", placement: { [FIRST]: "gateway-1", [SECOND]: "gateway-1" } });
  const come = lengths(stepsOf("client-1", [gateway, wide], [gateway, ...split]), "update");
  expect(come).toEqual([...come].sort((a, b) => b - a));
  expect(new Set(come).size).toBeGreaterThan(1);
  const go = lengths(stepsOf("client-1", [gateway, ...split], [gateway]), "delete");
  expect(go).toEqual([...go].sort((a, b) => a - b));
  expect(new Set(go).size).toBeGreaterThan(1);
});
