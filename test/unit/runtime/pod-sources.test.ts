import type { NodeRef } from "../../../provider/model/args";
import type { Claim } from "../../../provider/model/claim";
import { batchFor } from "../../../provider/runtime/batch";
import type { GatewayState } from "../../../provider/runtime/gateway-state";
import { podSourceProblems, podsAsSources } from "../../../provider/runtime/pod-sources";
import type { PolicyState } from "../../../provider/runtime/policy-state";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";
import type { Snapshot } from "../../../provider/runtime/snapshot";
import { gatewayClaim, nodeClaim, owner, peer, policyClaim } from "../reconcile/states";
import { nodes, seen } from "./snapshots";

const [machine] = nodes(1) as [NodeRef];
const pod: NodeRef = {
  ...machine,
  node: "egress-1",
  underlayIP: "10.9.0.1",
  connection: { host: machine.connection.host, netns: "egress-1" },
};
const placement = { "10.9.0.1": "egress-1", "10.8.0.1": "egress-1" };
const args = { gateways: [pod], clients: [machine], egressIPs: Object.keys(placement), placement: "pod" as const };
const label = { project: "shop", stack: "prod", name: "pods" };

/** The gateway of pods, as this run has it. */
const ofRun = (fleet = "lab"): void => {
  const ref = { id: "pods", name: "pods", fleet, egressIPs: [], placement, ignore: [], nodes: {}, connection: {} };
  const gateways = [{ ...pod, fleet }];
  const wanted: GatewayState = { ...args, gateways, label, ownerId: "pods", placement, ref };
  memory.gateways.set("pods", { wanted, held: undefined });
};

/** A gateway of pods, as a node knows it. */
const POD = { index: 105, underlay: "10.9.0.1", gateway: true, pod: true as const };
const recorded = gatewayClaim({ nodes: { "client-1": peer("client-1", false), "egress-1": POD }, placement }, "pods");
const lookedAt = (...claims: readonly Claim[]) => new Map([["n1", seen({ claims })]]);

function policyOf(...cidrs: readonly string[]): string[] {
  const gateway = { id: "other", name: "other", fleet: "lab" } as PolicyState["gateway"];
  const state = { gateway, sources: { cidrs }, label, ownerId: "policy-1", egressIP: "192.0.2.1" };
  return podSourceProblems(state, lookedAt(recorded)).map(({ path, message }) => `${path}: ${message}`);
}

beforeEach(forgetRun);

describe("a policy that selects a pod of another gateway is refused", () => {
  const refusal = (i: number, what: string, gateway: string) =>
    `sources.cidrs[${i}]: ${what} is pod "egress-1" of gateway "${gateway}": what that sends would leave by another egress IP, or come back to it for ever. Give sources without it.`;

  test("by any of its addresses, where another stack has the gateway on the policy's nodes", () => {
    expect(policyOf("10.0.1.0/24", "10.9.0.0/16")).toEqual([
      refusal(1, '"10.9.0.1" of "10.9.0.0/16"', "shop/prod/pods"),
    ]);
    expect(policyOf("10.8.0.1")).toEqual([refusal(0, '"10.8.0.1"', "shop/prod/pods")]);
    expect(policyOf("10.9.0.2/31", "10.0.1.0/24")).toEqual([]);
  });

  test("where it is of this run; what nodes know of this stack's is not judged", () => {
    memory.stacks.add("shop/prod");
    expect(policyOf("10.9.0.1")).toEqual([]);
    ofRun();
    expect(policyOf("10.9.0.1")).toEqual([refusal(0, '"10.9.0.1"', "pods")]);
  });

  test("not where it is in another fleet, which may have the same addresses", () => {
    memory.stacks.add("shop/prod");
    ofRun("other");
    expect(policyOf("10.9.0.1")).toEqual([]);
  });
});

describe("a gateway whose pod a policy selects already is refused", () => {
  const problems = (...claims: readonly Claim[]): string[] =>
    podsAsSources(args, placement, lookedAt(...claims)).map(({ path, message }) => `${path}: ${message}`);
  const refusal = (address: string, policy: string) =>
    `gateways[0]: pod "egress-1" (${address}) is a source of policy "${policy}": what it sends would leave by another egress IP, or come back to it for ever. Take it out of that policy's sources.`;
  const wide = policyClaim("wide", { sources: ["10.9.0.0/16"] });

  test("by another stack's, what that still selects included; not by this stack's, which this run has", () => {
    expect(problems(wide)).toEqual([refusal("10.9.0.1", "shop/prod/wide")]);
    const also = [{ ...wide, sources: ["10.8.0.0/16"] }];
    expect(problems(policyClaim("narrow", { also }))).toEqual([refusal("10.8.0.1", "shop/prod/narrow")]);
    memory.stacks.add("shop/prod");
    expect(problems(wide)).toEqual([]);
  });

  test("by one of this run whose check came first", () => {
    const named = { ...wide, label: "wide", ignore: [] };
    memory.policies.set("wide", { ...named, fleet: "other" });
    expect(problems()).toEqual([]);
    memory.policies.set("wide", { ...named, fleet: "lab" });
    expect(problems()).toEqual([refusal("10.9.0.1", "wide")]);
  });

  test("but a gateway of machines is not", () => {
    expect(podsAsSources({ ...args, gateways: [{ ...machine, underlayIP: "10.9.0.1" }] }, {}, lookedAt(wide))).toEqual(
      [],
    );
  });
});

test("what two stacks bring to a node at once is refused by its batch, and what is there is in nobody's way", () => {
  const node = nodeClaim("client-1");
  const policy = policyClaim("wide", { sources: ["10.9.0.0/16"], owner: owner("wide") });
  const holding = (...claims: readonly Claim[]) => seen({ claims, tables: {} }).snapshot as Snapshot;
  expect(() => batchFor(holding(node, recorded), [node, recorded, policy])).toThrow(
    "10.9.0.1 is pod egress-1 of gateway shop/prod/pods and a source of policy shop/prod/wide, so nothing was changed. Take it out of the policy's sources first.",
  );
  expect(() => batchFor(holding(node, policy), [node, recorded, policy])).toThrow(/^10\.9\.0\.1 is pod egress-1 /);
  expect(batchFor(holding(node, recorded, policy), [node, recorded, policy]).batch.claims).toEqual({
    write: {},
    remove: [],
  });
  expect(batchFor(holding(node, recorded, policy), [node, policy]).batch.claims.remove).toEqual(["pods"]);
});
