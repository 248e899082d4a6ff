import { compileNode } from "../../../provider/compile/node";
import type { PolicyClaim } from "../../../provider/model/claim";
import { printState } from "../kernel/print-state";
import { FACTS, gatewayClaim, type NodeName, nodeClaim, policyClaim } from "../reconcile/states";

const print = (node: NodeName, ...policies: PolicyClaim[]): string =>
  printState(compileNode([nodeClaim(node), gatewayClaim(), ...policies], FACTS).map(({ object }) => object));
const rules = (state: string): string[] => state.split("\n").filter((line) => line.includes("--comment egw-"));

describe.each<NodeName>(["client-1", "gateway-1"])("a change of a policy under way on %s", (node) => {
  const before = policyClaim("policy-1");
  const { gateway, egressIP, sources, destinations, except } = before;
  const former = { gateway, egressIP, sources, destinations, except };
  const also = [former];

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

  test("gives what it no longer selects the egress IP that it had, and the new one where both select", () => {
    const after = policyClaim("policy-1", { sources: ["10.0.1.12/32"], egressIP: "192.0.2.2" });
    const all = rules(print(node, { ...after, also }));
    const both = all.filter((line) => !/--set-xmark 0x0|EGRESSGATEWAY-GUARD .* -j RETURN/.test(line));
    expect([...both].sort()).toEqual([...rules(print(node, before)), ...rules(print(node, after))].sort());
    const marking = both.filter((line) => line.includes("-j MARK"));
    const ofNew = rules(print(node, after)).filter((line) => line.includes("-j MARK"));
    expect(marking.at(-1)?.replace(/^.* -m set/, "")).toBe(ofNew.at(-1)?.replace(/^.* -m set/, ""));
  });

  test("gives each of several selections that it had the egress IP of that one", () => {
    const after = policyClaim("policy-1", { sources: ["10.0.1.12/32"], egressIP: "192.0.2.2" });
    const other = { ...former, sources: ["10.0.1.13/32"], destinations: ["198.51.100.0/24"] };
    const all = rules(print(node, { ...after, also: [former, other, { ...former, sources: ["10.0.1.14/32"] }] }));
    const both = all.filter((line) => !/--set-xmark 0x0|EGRESSGATEWAY-GUARD .* -j RETURN/.test(line));
    const each = [before, after, { ...before, ...other }];
    expect([...both].sort()).toEqual(each.flatMap((one) => rules(print(node, one))).sort());
    const merged = print(node, { ...before, also: [{ ...former, sources: ["10.0.1.14/32"] }] });
    expect(merged).toBe(print(node, { ...before, sources: ["10.0.1.11/32", "10.0.1.14/32"] }));
  });

  test("selects nothing more where the gateway that it had is not there", () => {
    const after = policyClaim("policy-1", { sources: ["10.0.1.12/32"] });
    expect(print(node, { ...after, also: [{ ...former, gateway: "gateway-gone", egressIP: "192.0.2.9" }] })).toBe(
      print(node, after),
    );
  });
});

test.each([
  ["meet", ["203.0.113.0/24"], [], true],
  ["have destinations apart", ["198.51.100.0/24"], [], false],
  ["meet only in what one leaves out", [], ["203.0.112.0/23"], false],
])(
  "what comes to its egress IP's node is translated there where two policies %s",
  (_, destinations, except, isHere) => {
    const here = policyClaim("policy-1", { destinations: ["203.0.113.0/24"] });
    const remote = policyClaim("policy-2", { destinations, except, egressIP: "192.0.2.2" });
    expect(rules(print("gateway-1", here, remote)).some((line) => line.includes("--set-xmark 0x0"))).toBe(isHere);
  },
);
