import { compileNode } from "../../../provider/compile/node";
import { printState } from "../../../provider/kernel/state";
import type { PolicyClaim } from "../../../provider/model/claim";
import { FACTS, gatewayClaim, type NodeName, nodeClaim, policyClaim } from "../reconcile/states";

const print = (node: NodeName, ...policies: PolicyClaim[]): string =>
  printState(compileNode([nodeClaim(node), gatewayClaim(), ...policies], FACTS).map(({ object }) => object));
const rules = (state: string): string[] => state.split("\n").filter((line) => line.includes("--comment egw-"));

describe.each<NodeName>(["client-1", "gateway-1"])("a change of a policy under way on %s", (node) => {
  const before = policyClaim("policy-1");
  const also = { sources: before.sources, destinations: before.destinations, except: before.except };

  test("selects by the sources of both where only they change", () => {
    const after = policyClaim("policy-1", { sources: ["10.0.1.12/32"] });
    const both = policyClaim("policy-1", { sources: ["10.0.1.11/32", "10.0.1.12/32"] });
    expect(print(node, { ...after, also })).toBe(print(node, both));
  });

  test("selects by two pairs of sets where destinations change, so that no other pair is selected", () => {
    const after = policyClaim("policy-1", { sources: ["10.0.1.12/32"], destinations: ["198.51.100.0/24"] });
    const both = print(node, { ...after, also });
    expect(rules(both).sort()).toEqual([...rules(print(node, before)), ...rules(print(node, after))].sort());
  });
});
