import fc from "fast-check";
import type { NodeFacts } from "../../../provider/compile/view";
import type { Claim, GatewayClaim, PolicyClaim } from "../../../provider/model/claim";
import { POD_DEVICES } from "./fake-world";
import { gatewayClaim, NODES, type NodeName, nodeClaim, peer, policyClaim, type Situation } from "./states";

const names = Object.keys(NODES) as NodeName[];
const EGRESS: Readonly<Record<string, readonly string[]>> = {
  "gateway-a": ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
  "gateway-b": ["192.0.2.11", "192.0.2.12"],
};
const SOURCES = ["10.0.1.11/32", "10.0.1.12/32", "10.0.1.0/28", "10.0.2.0/25"];
const DESTINATIONS = ["203.0.113.0/24", "203.0.113.7/32", "198.51.100.0/24", "203.0.112.0/23"];
const EXCEPTIONS = ["203.0.113.128/25", "203.0.113.7/32", "198.51.100.0/26", "203.0.113.0/24"];

const some = <T>(items: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...items], { minLength: 1 });
const any = <T>(items: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...items]);
const rarely = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(usual, ...others) });

/** A gateway with some of the nodes, its addresses on its gateway nodes or nowhere. */
function gateways(id: string): fc.Arbitrary<GatewayClaim> {
  const ips = EGRESS[id] ?? [];
  return fc
    .record({
      nodes: some(names),
      isGateway: fc.tuple(...names.map(() => fc.boolean())),
      holders: fc.tuple(...ips.map(() => fc.nat(names.length))),
      hold: rarely<readonly string[]>([], ips.slice(0, 1)),
      extraIgnore: rarely<readonly string[]>([], ["203.0.113.9/32"], ["203.0.113.64/26"]),
      onTunnelLoss: rarely<"drop" | "node-ip">("drop", "node-ip"),
      inbound: rarely<"drop" | "allow">("drop", "allow"),
      weave: rarely(false, true),
      hasPrograms: fc.boolean(),
    })
    .map(({ nodes, isGateway, holders, hasPrograms, ...others }) => {
      const rest = { ...others, ...(hasPrograms ? { datapath: "bpf" as const } : {}) };
      const peers = nodes.map((name) => [name, peer(name, isGateway[names.indexOf(name)] ?? false)] as const);
      const able = peers.filter(([, { gateway }]) => gateway).map(([name]) => name);
      const placed = ips.flatMap((ip, i) => {
        const holder = able[holders[i] ?? 0];
        return holder === undefined ? [] : [[ip, holder] as const];
      });
      return gatewayClaim({ nodes: Object.fromEntries(peers), placement: Object.fromEntries(placed), ...rest }, id);
    });
}

function policies(id: string): fc.Arbitrary<PolicyClaim> {
  return fc.constantFrom("gateway-a", "gateway-b").chain((gateway) =>
    fc
      .record({
        sources: some(SOURCES),
        destinations: any(DESTINATIONS),
        except: any(EXCEPTIONS),
        egressIP: fc.constantFrom(...(EGRESS[gateway] ?? [])),
        established: fc.constantFrom("keep" as const, "cut" as const),
      })
      .map((change) => policyClaim(id, { gateway, ...change })),
  );
}

const facts: fc.Arbitrary<NodeFacts> = fc
  .record({
    missing: rarely<string | undefined>(undefined, "11", "101"),
    offset: rarely(0, 50),
    dropPolicies: rarely<readonly string[]>([], ["FORWARD"], ["FORWARD", "OUTPUT"]),
    podDevices: fc.subarray([...POD_DEVICES]),
    objects: rarely({ client: "0", gateway: "0", connections: "0" }, { client: "1", gateway: "0", connections: "0" }),
  })
  .map(({ missing, offset, dropPolicies, ...programs }) => ({
    ...programs,
    tables: Object.fromEntries(
      [11, 12, 101, 102].filter((index) => `${index}` !== missing).map((index) => [index, 3000 + offset + index]),
    ),
    dropPolicies,
  }));

/** Any claims that a node can have. */
export function situations(node: NodeName): fc.Arbitrary<Situation> {
  const base = fc
    .record({
      mtu: rarely(1450, 1400),
      index: rarely<number>(NODES[node].index, 77),
      tunnelPort: rarely(4790, 4799),
      tunnelCIDR: rarely("100.126.0.0/16", "100.100.0.0/16"),
      rulePreference: rarely(5000, 6000),
    })
    .map(({ mtu, index, ...fleet }): Claim[] => [nodeClaim(node, { mtu, index }, fleet)]);
  const optional = <T extends Claim>(claim: fc.Arbitrary<T>): fc.Arbitrary<Claim[]> =>
    fc.option(claim).map((found) => (found ? [found] : []));
  return fc
    .record({
      base: fc.oneof({ weight: 8, arbitrary: base }, { weight: 1, arbitrary: fc.constant<Claim[]>([]) }),
      rest: fc.tuple(
        optional(gateways("gateway-a")),
        optional(gateways("gateway-b")),
        ...["policy-1", "policy-2", "policy-3"].map((id) => optional(policies(id))),
      ),
      facts,
    })
    .map(({ base: own, rest, facts: known }) => ({
      name: node,
      claims: [...own, ...rest.flat()],
      facts: known,
      nodeOwner: `node-${node}`,
    }));
}
