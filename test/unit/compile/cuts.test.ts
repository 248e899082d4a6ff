import { cutsOf } from "../../../provider/compile/cuts";
import type { Claim, PolicyClaim } from "../../../provider/model/claim";
import { MASK_ALL, markOf } from "../../../provider/model/mark";
import { FACTS, gatewayClaim, NODES, type NodeName, nodeClaim, policyClaim } from "../reconcile/states";

const everything = { sources: ["0.0.0.0/0"], destinations: ["0.0.0.0/0"], except: [] };
const toGateway = (node: NodeName) => ({ kind: "mark", mark: markOf(NODES[node].index), mask: MASK_ALL });
const one = policyClaim("policy-1");
const selected = { sources: one.sources, destinations: one.destinations, except: one.except };
/** Whose flows without connections begin anew; all others on a path that goes are refused. */
const [nobody, itself] = [{ anew: [] }, { anew: [selected] }];

/** Before and after on one node, with a gateway that has 192.0.2.1 on gateway-1 and 192.0.2.2 on gateway-2. */
function cuts(node: NodeName, before: readonly Claim[], after: readonly Claim[], gateway = gatewayClaim()) {
  return cutsOf([nodeClaim(node), gatewayClaim(), ...before], [nodeClaim(node), gateway, ...after], FACTS);
}

const edited = (change: Partial<PolicyClaim>) => policyClaim("policy-1", change);

/** Connections inside the cluster are nobody's to cut. */
const cluster = ["10.0.0.0/16", "10.96.0.0/16", "192.168.0.0/24"];

describe("which connections end", () => {
  test.each<[string, Partial<PolicyClaim>]>([
    ["nothing changes", {}],
    ["its sources change", { sources: ["10.0.1.12/32"] }],
    ["its egress IP changes", { egressIP: "192.0.2.2" }],
  ])("none where a policy keeps them and %s", (_, change) => {
    expect(cuts("client-1", [one], [edited(change)])).toEqual([]);
    expect(cuts("gateway-1", [one], [edited(change)])).toEqual([]);
  });

  test("with a policy that goes: those on its path, and those that earlier edits left on any path of its gateway", () => {
    expect(cuts("client-1", [one], [])).toEqual([
      { ...selected, by: toGateway("gateway-1"), ...nobody },
      { ...everything, by: toGateway("gateway-1"), ...nobody },
      { ...everything, by: toGateway("gateway-2"), ...nobody },
    ]);
    expect(cuts("gateway-1", [one], [])).toEqual([
      { ...selected, by: { kind: "snat", address: "192.0.2.1" }, ...nobody },
      { ...everything, by: { kind: "snat", address: "192.0.2.1" }, ...nobody },
      { ...everything, by: toGateway("gateway-2"), ...nobody },
    ]);
  });

  test("with a policy that goes: no others on a path that another policy uses", () => {
    const other = policyClaim("policy-2", { sources: ["10.0.1.12/32"] });
    expect(cuts("client-1", [one, other], [other])).toEqual([
      { ...selected, by: toGateway("gateway-1"), ...nobody },
      { ...everything, by: toGateway("gateway-2"), ...nobody },
    ]);
  });

  test("with a policy that goes: none that another policy has on the same path now", () => {
    const spareOf = (heir: Partial<PolicyClaim>) => cuts("client-1", [one], [policyClaim("policy-2", heir)])[0]?.spare;
    expect(spareOf({})).toEqual([selected]);
    expect(spareOf({ egressIP: "192.0.2.2" })).toBeUndefined();
    expect(spareOf({ sources: ["10.0.1.12/32"] })).toBeUndefined();
  });

  test("with an address that moves: all that are on its old path", () => {
    const moved = gatewayClaim({ placement: { "192.0.2.1": "gateway-2", "192.0.2.2": "gateway-2" } });
    expect(cuts("client-1", [one], [one], moved)).toEqual([
      { ...selected, by: toGateway("gateway-1"), ...itself },
      { ...everything, by: toGateway("gateway-1"), ...itself },
    ]);
    expect(cuts("gateway-1", [one], [one], moved)).toEqual([
      { ...selected, by: { kind: "snat", address: "192.0.2.1" }, ...itself },
      { ...everything, by: { kind: "snat", address: "192.0.2.1" }, ...itself },
    ]);
  });

  test("with an address that goes, whatever policies say", () => {
    const without = gatewayClaim({ placement: { "192.0.2.2": "gateway-2" } });
    const other = edited({ egressIP: "192.0.2.2" });
    expect(cuts("gateway-1", [other], [other], without)).toEqual([
      { ...everything, by: { kind: "snat", address: "192.0.2.1" }, ...nobody },
    ]);
  });

  test("where a policy says cut: those it finds open, and those that it no longer selects", () => {
    expect(cuts("client-1", [], [edited({ established: "cut" })])).toEqual([
      { ...selected, except: cluster, by: { kind: "other" } },
    ]);
    const changed = edited({ established: "cut", sources: ["10.0.1.12/32"] });
    expect(cuts("client-1", [one], [changed])).toEqual([
      { ...selected, by: toGateway("gateway-1"), ...nobody, spare: [{ ...selected, sources: ["10.0.1.12/32"] }] },
      { ...selected, except: cluster, sources: ["10.0.1.12/32"], by: { kind: "other" } },
    ]);
    expect(cuts("client-1", [changed], [changed])).toEqual([]);
  });

  test("flows without connections begin anew where a policy gives them the source that they had, or says cut", () => {
    const anewOf = (after: readonly Claim[]) => cuts("client-1", [one], after).map(({ anew }) => anew);
    const other = (change: Partial<PolicyClaim>) => policyClaim("policy-2", change);
    const { sources } = one;
    expect(anewOf([other({ sources })])[0]).toEqual([selected]);
    expect(anewOf([other({ sources, egressIP: "192.0.2.2" })])[0]).toEqual([]);
    expect(anewOf([other({ sources, egressIP: "192.0.2.2", established: "cut" })])[0]).toEqual([selected]);
    expect(anewOf([other({ sources: ["10.0.1.12/32"] })])[0]).toEqual([]);
  });

  test("of a change under way: only where a path goes, and the rest when it is done", () => {
    const before = edited({ established: "cut", sources: ["10.0.1.12/32"] });
    const { gateway, egressIP, sources, destinations, except } = before;
    const also = [{ gateway, egressIP, sources, destinations, except }];
    const underWay = edited({ established: "cut", also });
    const done = edited({ established: "cut" });
    expect(cuts("client-1", [before], [underWay])).toEqual([]);
    expect(cuts("client-1", [underWay], [done])).toEqual([
      { ...selected, by: toGateway("gateway-1"), ...itself, spare: [selected] },
      { ...selected, sources: ["10.0.1.12/32"], by: toGateway("gateway-1"), ...nobody, spare: [selected] },
      { ...selected, except: cluster, by: { kind: "other" } },
    ]);
    const moved = { ...underWay, egressIP: "192.0.2.2" };
    expect(cuts("client-1", [before], [moved])).toEqual([]);
    // Nor by what else is done on the node meanwhile.
    expect(cuts("client-1", [moved], [moved, policyClaim("policy-2", { sources: ["10.0.1.13/32"] })])).toEqual([]);
    expect(cuts("client-1", [underWay], [])).toEqual(
      expect.arrayContaining([{ ...selected, sources: ["10.0.1.12/32"], by: toGateway("gateway-1"), ...nobody }]),
    );
    // With the address that it had, whatever the policy uses now.
    const movedAndDone = edited({ established: "cut", egressIP: "192.0.2.2" });
    expect(cuts("client-1", [moved], [movedAndDone])).toEqual([
      { ...selected, by: toGateway("gateway-2"), ...itself, spare: [selected] },
      { ...selected, sources: ["10.0.1.12/32"], by: toGateway("gateway-1"), ...nobody },
      { ...selected, except: cluster, by: { kind: "other" } },
    ]);
    const kept = (claim: PolicyClaim): PolicyClaim => ({ ...claim, established: "keep" });
    expect(cuts("client-1", [kept(moved)], [kept(movedAndDone)])).toEqual([]);
  });
});
