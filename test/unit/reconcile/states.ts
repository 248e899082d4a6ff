import { compileNode } from "../../../provider/compile/node";
import type { NodeFacts } from "../../../provider/compile/view";
import type { KernelObject, Owned } from "../../../provider/kernel/state";
import type {
  Claim,
  FleetSettings,
  GatewayClaim,
  NodeClaim,
  Owner,
  PeerNode,
  PolicyClaim,
} from "../../../provider/model/claim";
import { FakeNode } from "./fake-node";
import { foreignWorld, POD_DEVICES } from "./fake-world";

/**
 * The address plan of the unit tests: pods 10.0.0.0/16, services 10.96.0.0/16, nodes 192.168.0.0/24,
 * egress IPs 192.0.2.0/24, outside 203.0.113.0/24 and 198.51.100.0/24.
 */
export const NODES = {
  "client-1": { index: 11, underlay: "192.168.0.11" },
  "client-2": { index: 12, underlay: "192.168.0.12" },
  "gateway-1": { index: 101, underlay: "192.168.0.101" },
  "gateway-2": { index: 102, underlay: "192.168.0.102" },
} as const;
export type NodeName = keyof typeof NODES;

export const FLEET: FleetSettings = {
  name: "lab",
  ignore: ["10.0.0.0/16", "10.96.0.0/16", "192.168.0.0/24"],
  tunnelPort: 4790,
  vni: 4097,
  tunnelCIDR: "100.126.0.0/16",
  tables: { start: 3000, count: 100 },
  rulePreference: 5000,
};

export const owner = (id: string): Owner => ({ id, project: "shop", stack: "prod", name: id });

export function nodeClaim(
  node: NodeName,
  change: Partial<NodeClaim> = {},
  fleet: Partial<FleetSettings> = {},
): NodeClaim {
  return {
    kind: "node",
    owner: owner(`node-${node}`),
    node,
    ...NODES[node],
    uplink: "eth0",
    mtu: 1450,
    fleet: { ...FLEET, ...fleet },
    ...change,
  };
}

export const peer = (node: NodeName, gateway: boolean): PeerNode => ({ ...NODES[node], gateway });

export function gatewayClaim(change: Partial<GatewayClaim> = {}, id = "gateway-a"): GatewayClaim {
  return {
    kind: "gateway",
    owner: owner(id),
    nodes: {
      "client-1": peer("client-1", false),
      "client-2": peer("client-2", false),
      "gateway-1": peer("gateway-1", true),
      "gateway-2": peer("gateway-2", true),
    },
    placement: { "192.0.2.1": "gateway-1", "192.0.2.2": "gateway-2" },
    hold: [],
    extraIgnore: [],
    onTunnelLoss: "drop",
    inbound: "drop",
    weave: false,
    ...change,
  };
}

export function policyClaim(id: string, change: Partial<PolicyClaim> = {}): PolicyClaim {
  return {
    kind: "policy",
    owner: owner(id),
    gateway: "gateway-a",
    sources: ["10.0.1.11/32"],
    destinations: ["203.0.113.0/24"],
    except: [],
    egressIP: "192.0.2.1",
    established: "keep",
    ...change,
  };
}

export const FACTS: NodeFacts = {
  tables: { 11: 3011, 12: 3012, 101: 3001, 102: 3002 },
  dropPolicies: [],
  podDevices: [...POD_DEVICES],
  objects: { client: "0123456789abcdef", gateway: "fedcba9876543210", connections: "0011223344556677" },
};

/** What one node is to be, with a name for the tests. */
export interface Situation {
  readonly name: string;
  readonly claims: readonly Claim[];
  readonly facts: NodeFacts;
  /** Owner id of the node's own claim. */
  readonly nodeOwner: string;
}

/** Of gateways whose datapath is bpf. Of the addresses each gateway node has one, so that each is a client of the other. */
function situationsWithPrograms(
  node: NodeName,
): { readonly title: string; readonly claims: readonly Claim[]; readonly facts?: Partial<NodeFacts> }[] {
  const base = nodeClaim(node);
  const gateway = gatewayClaim({ datapath: "bpf" });
  const one = policyClaim("policy-1");
  const two = policyClaim("policy-2", { sources: ["10.0.1.12/32"], egressIP: "192.0.2.2" });
  const wide = policyClaim("policy-3", {
    sources: ["10.0.1.0/28"],
    destinations: ["198.51.100.0/24"],
    except: ["198.51.100.0/26"],
  });
  const wider = policyClaim("policy-4", {
    sources: ["10.0.0.0/20"],
    destinations: ["203.0.112.0/24"],
    egressIP: "192.0.2.2",
  });
  const former = { gateway: "gateway-a", egressIP: "192.0.2.1", except: [], sources: ["10.0.1.11/32"] };
  return [
    { title: "programs without policies", claims: [base, gateway] },
    { title: "programs of one policy", claims: [base, gateway, one] },
    { title: "programs of policies with wide sources and exceptions", claims: [base, gateway, one, two, wide, wider] },
    {
      title: "programs of a gateway that has all addresses on one node",
      claims: [
        base,
        gatewayClaim({ datapath: "bpf", placement: { "192.0.2.1": "gateway-1", "192.0.2.2": "gateway-1" } }),
        one,
        two,
      ],
    },
    {
      title: "programs of one gateway, and one without",
      claims: [
        base,
        gateway,
        gatewayClaim({ placement: { "192.0.2.11": "gateway-1" } }, "gateway-b"),
        wide,
        policyClaim("policy-5", { gateway: "gateway-b", egressIP: "192.0.2.11" }),
      ],
    },
    {
      title: "programs while a policy changes",
      claims: [
        base,
        gateway,
        policyClaim("policy-1", {
          sources: ["10.0.1.12/32"],
          destinations: ["198.51.100.0/24"],
          also: [{ ...former, destinations: ["203.0.113.0/24"] }],
        }),
      ],
    },
    {
      title: "programs of an address that is nowhere",
      claims: [base, gatewayClaim({ datapath: "bpf", placement: { "192.0.2.2": "gateway-2" } }), one, two],
    },
    { title: "programs on one pod's device", claims: [base, gateway, one], facts: { podDevices: ["veth1"] } },
    {
      title: "programs of another version",
      claims: [base, gateway, one],
      facts: { objects: { client: "1123456789abcdef", gateway: "1edcba9876543210", connections: "1011223344556677" } },
    },
    {
      title: "programs for another tunnel port and MTU",
      claims: [nodeClaim(node, { mtu: 1400 }, { tunnelPort: 4799 }), gateway, one, wide],
    },
  ];
}

/** The situations of one node that the laws are tried on, each against each. */
export function situationsOf(node: NodeName): Situation[] {
  const situation = (name: string, claims: readonly Claim[], facts: Partial<NodeFacts> = {}): Situation => ({
    name: `${node}: ${name}`,
    claims,
    facts: { ...FACTS, ...facts },
    nodeOwner: `node-${node}`,
  });
  const base = nodeClaim(node);
  const usual = [base, gatewayClaim()];
  const one = policyClaim("policy-1");
  const two = policyClaim("policy-2", { sources: ["10.0.1.12/32"], egressIP: "192.0.2.2" });
  const { gateway, egressIP, sources, destinations, except } = one;
  const former = { gateway, egressIP, sources, destinations, except };
  return [
    situation("nothing", []),
    situation("enrolled", [base]),
    situation("a gateway without policies", usual),
    situation("no table for a leg yet", [...usual, one], { tables: { 11: 3011, 12: 3012, 102: 3002 } }),
    situation("one policy", [...usual, one]),
    situation("its sources split", [
      ...usual,
      policyClaim("policy-1", { sources: ["10.0.1.11/32", "10.0.1.12/32"] }),
      policyClaim("policy-3", { sources: ["10.0.1.13/32"] }),
    ]),
    situation("two policies", [...usual, one, two]),
    situation("two policies, swapped", [
      ...usual,
      policyClaim("policy-1", { sources: two.sources }),
      policyClaim("policy-2", { egressIP: "192.0.2.2" }),
    ]),
    situation("the policy under another name, at the other gateway", [
      ...usual,
      policyClaim("policy-9", { egressIP: "192.0.2.2" }),
    ]),
    situation("everything but some", [
      ...usual,
      policyClaim("policy-1", { destinations: [], except: ["203.0.113.128/25", "198.51.100.7/32"] }),
    ]),
    situation("an exception turned around", [
      ...usual,
      policyClaim("policy-1", { destinations: ["203.0.112.0/23", "203.0.113.128/25"], except: ["203.0.113.0/25"] }),
    ]),
    situation("a change of everything under way", [
      ...usual,
      policyClaim("policy-1", {
        sources: ["10.0.1.12/32"],
        destinations: ["198.51.100.0/24"],
        also: [{ ...former, destinations: ["203.0.113.0/24"], except: ["203.0.113.7/32"] }],
      }),
    ]),
    situation("a change of sources and egress IP under way", [
      ...usual,
      policyClaim("policy-1", {
        sources: ["10.0.1.11/32", "10.0.1.12/32"],
        egressIP: "192.0.2.2",
        also: [
          { ...former, sources: ["10.0.1.11/32", "10.0.1.13/32"] },
          { ...former, sources: ["10.0.1.14/32"], destinations: ["198.51.100.0/24"] },
        ],
      }),
    ]),
    situation("a policy without its gateway", [base, one]),
    situation("moved addresses", [
      base,
      gatewayClaim({ placement: { "192.0.2.1": "gateway-2", "192.0.2.2": "gateway-1" } }),
      one,
      two,
    ]),
    situation("an address that is nowhere", [base, gatewayClaim({ placement: {} }), one]),
    situation("an address on hold", [base, gatewayClaim({ hold: ["192.0.2.1"] }), one]),
    situation("every switch", [
      base,
      gatewayClaim({ onTunnelLoss: "node-ip", inbound: "allow", weave: true, extraIgnore: ["203.0.113.9/32"] }),
      one,
      two,
    ]),
    situation("a FORWARD policy of DROP", [...usual, one, two], { dropPolicies: ["FORWARD", "OUTPUT"] }),
    situation("other tables", [...usual, one], { tables: { 11: 3051, 12: 3052, 101: 3053, 102: 3054 } }),
    situation("another tunnel port", [nodeClaim(node, {}, { tunnelPort: 4799 }), gatewayClaim(), one, two]),
    situation("another mark and MTU", [nodeClaim(node, { index: 77, mtu: 1400 }), gatewayClaim(), one]),
    situation("another tunnel network, VNI and preference", [
      nodeClaim(node, {}, { tunnelCIDR: "100.100.0.0/16", vni: 9, rulePreference: 6000, ignore: ["10.0.0.0/16"] }),
      gatewayClaim(),
      one,
    ]),
    ...situationsWithPrograms(node).map(({ title, claims, facts }) => situation(title, claims, facts)),
  ];
}

export const compile = ({ claims, facts }: Situation): Owned[] => compileNode(claims, facts);
export const desiredOf = (situation: Situation): KernelObject[] => compile(situation).map(({ object }) => object);

/** A node with only foreign things on it. */
export function emptyNode(node: NodeName): FakeNode {
  return new FakeNode(foreignWorld(NODES[node].underlay));
}
