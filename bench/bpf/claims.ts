import { compileNode } from "../../provider/compile/node";
import type { KernelObject, Owned } from "../../provider/kernel/state";
import type { Claim } from "../../provider/model/claim";
import { FACTS, gatewayClaim, type NodeName, nodeClaim, policyClaim } from "../../test/unit/reconcile/states";

/** In what all policies select; `test/unit/reconcile/states.ts` has the nodes and egress IPs. */
export const DESTINATION = "203.0.113.9";
const NETWORK = "203.0.113.0/24";
const POLICIES = 10;

/** The sources by number: addresses one after the other. */
export const sourceAt = (number: number): string => {
  const value = 0x0a400000 + number;
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
};

/** A client node with so many entries of policies, of which the first `moved` have another egress IP. */
export function claimsOf(entries: number, moved = 0): Claim[] {
  const numbers = Array.from({ length: entries }, (_, i) => i);
  const size = Math.ceil(entries / POLICIES);
  const policies = Array.from({ length: POLICIES }, (_, i) => numbers.slice(Math.max(i * size, moved), (i + 1) * size));
  return [
    ...bareClaims(),
    ...policies.flatMap((some, i) => policyOf(`policy-${i}`, some, "192.0.2.1")),
    ...policyOf("moved", numbers.slice(0, moved), "192.0.2.2"),
  ];
}

/** A node without policies. */
export const bareClaims = (node: NodeName = "client-1"): Claim[] => [
  nodeClaim(node),
  gatewayClaim({ datapath: "bpf" }),
];

function policyOf(id: string, numbers: readonly number[], egressIP: string): Claim[] {
  if (numbers.length === 0) return [];
  const sources = numbers.map((number) => `${sourceAt(number)}/32`);
  return [policyClaim(id, { sources, destinations: [NETWORK], egressIP })];
}

export const compiled = (claims: readonly Claim[]): Owned[] => compileNode(claims, FACTS);
export const objectsOf = (owned: readonly Owned[]): KernelObject[] => owned.map(({ object }) => object);
