import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { shortHash } from "../../../provider/compile/names";
import { compileNode } from "../../../provider/compile/node";
import { type NodeFacts, viewOf } from "../../../provider/compile/view";
import type { KernelObject } from "../../../provider/kernel/state";
import type { Claim, GatewayClaim } from "../../../provider/model/claim";
import { printState } from "../kernel/print-state";
import { FACTS, gatewayClaim, nodeClaim, policyClaim } from "../reconcile/states";

/**
 * Whole nodes as text, one file each. `EGW_UPDATE_GOLDEN=1 npx jest --selectProjects unit --testPathPatterns golden`
 * writes them anew; then the change is in the review.
 */
const folder = join(__dirname, "golden");

/** Web pods leave by the first gateway's address, payment pods by the second one's, everywhere but to a partner's own network. */
const web = policyClaim("web", { sources: ["10.0.1.11/32", "10.0.2.0/28"], destinations: ["203.0.113.0/24"] });
const payments = policyClaim("payments", {
  sources: ["10.0.1.12/32"],
  destinations: [],
  except: ["198.51.100.0/24", "203.0.113.64/26"],
  egressIP: "192.0.2.2",
});
/** Seed 002's example: one pod to one destination. */
const example = policyClaim("example", { sources: ["172.29.234.173/32"], destinations: ["10.6.105.150/32"] });
const usual = [gatewayClaim(), web, payments];

/** The usual gateway, but that its gateways are pods. */
function ofPods(more: Partial<GatewayClaim> = {}): GatewayClaim {
  const claim = gatewayClaim(more);
  const nodes = Object.entries(claim.nodes).map(([name, peer]) => [name, peer.gateway ? { ...peer, pod: true } : peer]);
  return { ...claim, nodes: Object.fromEntries(nodes) };
}

const NODES: Readonly<Record<string, { claims: readonly Claim[]; facts?: Partial<NodeFacts> }>> = {
  "an-enrolled-node": { claims: [nodeClaim("client-1")] },
  "a-client-node": { claims: [nodeClaim("client-1"), ...usual] },
  "a-gateway-node": { claims: [nodeClaim("gateway-1"), gatewayClaim(), web] },
  "a-node-that-is-both": { claims: [nodeClaim("gateway-1"), ...usual] },
  "a-client-node-with-weave": { claims: [nodeClaim("client-1"), gatewayClaim({ weave: true }), web] },
  "a-client-node-that-falls-back-to-its-address": {
    claims: [nodeClaim("client-1"), gatewayClaim({ onTunnelLoss: "node-ip" }), web],
  },
  "a-gateway-node-that-answers-calls": { claims: [nodeClaim("gateway-1"), gatewayClaim({ inbound: "allow" }), web] },
  "a-gateway-node-before-its-address-comes": {
    claims: [nodeClaim("gateway-1"), gatewayClaim({ hold: ["192.0.2.1"] }), web],
  },
  "a-client-node-of-an-address-that-is-nowhere": {
    claims: [nodeClaim("client-1"), gatewayClaim({ placement: {} }), web],
  },
  "a-gateway-node-that-drops-by-default": {
    claims: [nodeClaim("gateway-1"), ...usual],
    facts: { dropPolicies: ["FORWARD", "INPUT", "OUTPUT"] },
  },
  "a-client-node-with-programs": { claims: [nodeClaim("client-1"), gatewayClaim({ datapath: "bpf" }), web, payments] },
  "a-gateway-node-with-programs": { claims: [nodeClaim("gateway-1"), gatewayClaim({ datapath: "bpf" }), web] },
  "a-gateway-node-whose-answers-take-the-cluster": {
    claims: [nodeClaim("gateway-1"), gatewayClaim({ answers: "cluster" }), web],
    facts: { dropPolicies: ["FORWARD"] },
  },
  "a-gateway-pod": { claims: [{ ...nodeClaim("gateway-1"), netns: "pod" }, ofPods(), web] },
  "a-node-that-runs-a-gateway-pod": {
    claims: [nodeClaim("client-1"), ofPods({ answers: "cluster" }), web],
    facts: { carried: { "192.168.0.101": "veth1" }, loosened: { veth1: "1 2 192.168.0.11" } },
  },
  "the-example-on-a-client-node": { claims: [nodeClaim("client-1"), gatewayClaim(), example] },
  "the-example-on-its-gateway-node": { claims: [nodeClaim("gateway-1"), gatewayClaim(), example] },
};

test.each(Object.entries(NODES))("%s is what its file says", (name, { claims, facts }) => {
  const objects = compileNode(claims, { ...FACTS, ...facts }).map(({ object }) => object);
  const text = printState(named(claims, objects));
  const file = join(folder, `${name}.txt`);
  if (process.env.EGW_UPDATE_GOLDEN === "1") {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, text);
  }
  expect(text).toBe(readFileSync(file, "utf8"));
});

test("there is no file without a node", () => {
  expect(readdirSync(folder).sort()).toEqual(
    Object.keys(NODES)
      .map((name) => `${name}.txt`)
      .sort(),
  );
});

/** Hashes as the names of their policies, so that a person can read the file. */
function named(claims: readonly Claim[], objects: readonly KernelObject[]): KernelObject[] {
  const hashes = (viewOf(claims, FACTS)?.policies ?? []).flatMap(({ policy: { owner }, sets }) => [
    [sets.source.slice("egw-s-".length), owner.id] as const,
    [shortHash(owner.id), owner.id] as const,
  ]);
  const text = hashes.reduce((json, [hash, id]) => json.replaceAll(hash, id), JSON.stringify(objects));
  return JSON.parse(text) as KernelObject[];
}
