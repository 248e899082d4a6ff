import fc from "fast-check";
import type { Claim } from "../../../provider/model/claim";
import { tunnelMac } from "../../../provider/model/mark";
import { plan } from "../../../provider/reconcile/plan";
import type { Step } from "../../../provider/reconcile/step";
import { situations } from "./arbitrary";
import type { FakeNode } from "./fake-node";
import { type Allowed, allowed, type Holders, holdersOf } from "./selected";
import {
  desiredOf,
  emptyNode,
  FACTS,
  gatewayClaim,
  NODES,
  type NodeName,
  nodeClaim,
  peer,
  policyClaim,
  type Situation,
  situationsOf,
} from "./states";
import { fromOpen, fromPod, fromTunnel, trace, type Verdict } from "./tracer";

// The walks take seconds where the machine does something else as well.
jest.setTimeout(60_000);

const SOURCES = ["10.0.1.11", "10.0.1.12", "10.0.1.13", "10.0.1.99"];
const DESTINATIONS = [
  "203.0.113.7",
  "203.0.113.9",
  "203.0.113.100",
  "203.0.113.200",
  "203.0.112.5",
  "198.51.100.7",
  "10.96.0.99",
];
const PAIRS = SOURCES.flatMap((source) => DESTINATIONS.map((destination) => [source, destination] as const));

/** What a packet may meet between two situations: what the one or the other allows. */
interface Between extends Holders {
  readonly before: Allowed;
  readonly after: Allowed;
}

function both(from: Situation, to: Situation, source: string, destination: string): Between {
  const [before, after] = [allowed(from.claims, source, destination), allowed(to.claims, source, destination)];
  const egressIPs = [...before.egressIPs, ...after.egressIPs];
  const [then, now] = [holdersOf(from.claims, egressIPs), holdersOf(to.claims, egressIPs)];
  return { before, after, here: [...then.here, ...now.here], peers: [...then.peers, ...now.peers] };
}

/** Why a new connection of a pod of this node must not meet that verdict; undefined if it may. */
function podComplaint(
  name: NodeName,
  { before, after, here, peers }: Between,
  verdict: Verdict,
  plain: Verdict,
): string | undefined {
  const isPlain = JSON.stringify(verdict) === JSON.stringify(plain);
  const wasSelected = before.egressIPs.length > 0;
  const isSelected = after.egressIPs.length > 0;
  if (!wasSelected && !isSelected) return isPlain ? undefined : "is not selected, but not let alone";
  switch (verdict.kind) {
    case "dropped":
      return undefined;
    case "tunnel":
      return peers.some(({ underlay }) => underlay === verdict.underlay)
        ? undefined
        : "goes to a node without its egress IP";
    case "uplink":
      if (here.includes(verdict.source)) return undefined;
      if (isPlain && (!wasSelected || !isSelected)) return undefined;
      if (verdict.source === NODES[name].underlay && (before.byNode || after.byNode)) return undefined;
      return "leaves with another source";
    default: {
      const never: never = verdict;
      return never;
    }
  }
}

/** The same of what comes out of the tunnel. */
function tunnelComplaint({ here }: Between, verdict: Verdict): string | undefined {
  if (verdict.kind === "dropped") return undefined;
  const isRight = verdict.kind === "uplink" && here.includes(verdict.source);
  return isRight ? undefined : "leaves with another source";
}

function check(name: NodeName, node: FakeNode, from: Situation, to: Situation): string[] {
  const plainNode = emptyNode(name);
  return PAIRS.flatMap(([source, destination]) => {
    const between = both(from, to, source, destination);
    const say = (what: string, verdict: Verdict, complaint: string | undefined): string[] =>
      complaint === undefined ? [] : [`${what} ${source} → ${destination} ${complaint}: ${JSON.stringify(verdict)}`];
    const plain = trace(plainNode.world, fromPod(source, destination));
    const fresh = trace(node.world, fromPod(source, destination));
    const open = between.peers.map(({ mark }) => trace(node.world, fromOpen(source, destination, mark)));
    const tunnelled = Object.values(NODES).map(({ index }) =>
      trace(node.world, fromTunnel(source, destination, tunnelMac(index))),
    );
    const isEnrolled = [from, to].every(({ claims }) => claims.some(({ kind }) => kind === "node"));
    return [
      ...say("new", fresh, podComplaint(name, between, fresh, plain)),
      ...(isEnrolled ? open : []).flatMap((verdict) =>
        say("open", verdict, verdict.kind === "uplink" ? "leaves by the uplink" : undefined),
      ),
      ...tunnelled.flatMap((verdict) => say("tunnelled", verdict, tunnelComplaint(between, verdict))),
    ];
  });
}

/** Does a plan line by line and asks after each for all packets. */
function walkPlan(name: NodeName, start: FakeNode, from: Situation, to: Situation): void {
  const node = start.clone();
  const steps = plan(desiredOf(to), node.read());
  for (const [i, step] of steps.entries()) {
    for (const part of partsOf(step)) {
      node.run(part);
      const complaints = check(name, node, from, to);
      if (complaints.length === 0) continue;
      throw new Error(
        `${from.name} → ${to.name}, step ${i} ${part.tool} after ${JSON.stringify(part.input.slice(0, 3))}:\n${complaints.slice(0, 5).join("\n")}`,
      );
    }
  }
}

/** What happens at once: a line, or a whole table. */
function partsOf(step: Step): Step[] {
  return step.tool === "iptables" ? [step] : step.input.map((line) => ({ ...step, input: [line] }));
}

function nodeIn(name: NodeName, situation: Situation): FakeNode {
  const node = emptyNode(name);
  expect(node.apply(plan(desiredOf(situation), node.read()))).toBeUndefined();
  return node;
}

describe.each(["client-1", "gateway-1", "gateway-2"] as const)("on %s", (name) => {
  const [nothing, ...rest] = situationsOf(name);

  test.each(rest.map((situation) => [situation.name, situation] as const))(
    "every packet ends as it should in: %s",
    (_, situation) => {
      const node = nodeIn(name, situation);
      expect(check(name, node, situation, situation)).toEqual([]);
      for (const [source, destination] of PAIRS) {
        const before = allowed(situation.claims, source, destination);
        const { here, peers } = holdersOf(situation.claims, before.egressIPs.slice(0, 1));
        const verdict = trace(node.world, fromPod(source, destination));
        if (before.egressIPs.length === 0) continue;
        const [address] = here;
        if (address !== undefined) {
          const tunnelled = trace(node.world, fromTunnel(source, destination, tunnelMac(NODES["client-1"].index)));
          for (const one of [verdict, tunnelled]) expect(one).toEqual({ kind: "uplink", source: address });
        } else if (peers.length === 0) expect(verdict.kind).toBe("dropped");
        else if (Object.keys(situation.facts.tables).length === 4)
          expect(verdict).toEqual({ kind: "tunnel", underlay: peers[0]?.underlay });
        else expect(verdict.kind).toMatch(/dropped|tunnel/);
      }
    },
  );

  // As long as the one has not let go of what the other has taken.
  test.each(["policy-0", "policy-9"])(
    "two policies select the same for a moment: %s has the address of another node",
    (id) => {
      const other = policyClaim(id, { egressIP: "192.0.2.2" });
      const claims = [nodeClaim(name), gatewayClaim(), policyClaim("policy-1"), other];
      const situation: Situation = { name: "both", claims, facts: FACTS, nodeOwner: `node-${name}` };
      const node = nodeIn(name, situation);
      const [source, destination] = ["10.0.1.11", "203.0.113.9"];
      const tunnelled = trace(node.world, fromTunnel(source, destination, tunnelMac(NODES["client-1"].index)));
      const here = { "client-1": undefined, "gateway-1": "192.0.2.1", "gateway-2": "192.0.2.2" }[name];
      expect(tunnelled).toMatchObject(here === undefined ? { kind: "dropped" } : { kind: "uplink", source: here });
      expect(trace(node.world, fromPod(source, destination)).kind).toMatch(/uplink|tunnel/);
      expect(check(name, node, situation, situation)).toEqual([]);
    },
  );

  test.each(rest.map((situation, i) => [situation.name, i] as const))(
    "no packet leaves with another source between the lines of a plan from or to: %s",
    (_, i) => {
      for (const other of [nothing, rest[i + 1] ?? rest[0]]) {
        const situation = rest[i];
        if (!situation || !other) continue;
        walkPlan(name, nodeIn(name, situation), situation, other);
        walkPlan(name, nodeIn(name, other), other, situation);
      }
    },
  );
});

// The tunnel is made again meanwhile, so that nothing can take it.
test.each<[string, (isAfter: boolean) => Claim[]]>([
  [
    "a policy comes to a gateway that lets nothing out by the node any more",
    (isAfter) => [
      gatewayClaim({ onTunnelLoss: isAfter ? "drop" : "node-ip" }),
      gatewayClaim({ nodes: { "client-1": peer("client-1", true) }, placement: {} }, "gateway-b"),
      policyClaim("policy-1", { gateway: isAfter ? "gateway-a" : "gateway-b" }),
    ],
  ],
  [
    "a policy selects more, and its gateway, which lets out by the node, goes",
    (isAfter) => [
      ...(isAfter ? [] : [gatewayClaim({ onTunnelLoss: "node-ip" })]),
      policyClaim("policy-1", { sources: [isAfter ? "10.0.1.12/32" : "10.0.1.11/32"] }),
      ...(isAfter ? [] : [policyClaim("policy-2", { gateway: "gateway-b", sources: ["10.0.1.12/32"] })]),
    ],
  ],
])("no packet leaves by the node where %s", (_, claims) => {
  const situation = (isAfter: boolean): Situation => ({
    name: isAfter ? "after" : "before",
    claims: [nodeClaim("client-1", {}, { tunnelPort: isAfter ? 4799 : 4790 }), ...claims(isAfter)],
    facts: FACTS,
    nodeOwner: "node-client-1",
  });
  for (const isAfter of [true, false])
    walkPlan("client-1", nodeIn("client-1", situation(!isAfter)), situation(!isAfter), situation(isAfter));
});

test("no packet leaves with another source between the lines of a plan between any two states", () => {
  const journeys = fc
    .constantFrom<NodeName>("client-1", "gateway-1")
    .chain((name) => fc.record({ name: fc.constant(name), from: situations(name), to: situations(name) }));
  fc.assert(
    fc.property(journeys, ({ name, from, to }) => walkPlan(name, nodeIn(name, from), from, to)),
    { numRuns: 20 },
  );
});
