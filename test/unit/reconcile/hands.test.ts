import type { KernelObject } from "../../../provider/kernel/state";
import { textOf } from "../../../provider/kernel/state";
import { tunnelMac } from "../../../provider/model/mark";
import { plan } from "../../../provider/reconcile/plan";
import type { FakeNode } from "./fake-node";
import type { Tamper } from "./hand";
import { allowed, holdersOf } from "./selected";
import { desiredOf, emptyNode, NODES, type NodeName, type Situation, situationsOf } from "./states";
import { TAMPERS, tamperWith } from "./tamper";
import { fromOpen, fromPod, fromTunnel, trace, type Verdict } from "./tracer";

const SOURCES = ["10.0.1.11", "10.0.1.12"];
const DESTINATIONS = ["203.0.113.7", "203.0.113.200", "198.51.100.77"];
const CASES: readonly (readonly [NodeName, string])[] = [
  ["client-1", "two policies"],
  ["client-1", "everything but some"],
  ["gateway-1", "two policies"],
  ["gateway-1", "everything but some"],
];

/** What a selected packet must not meet, whatever a hand has done: another source than its egress IP. */
function leaks(node: FakeNode, situation: Situation): string[] {
  return SOURCES.flatMap((source) =>
    DESTINATIONS.flatMap((destination) => {
      const { egressIPs } = allowed(situation.claims, source, destination);
      if (egressIPs.length === 0) return [];
      const { here, peers } = holdersOf(situation.claims, egressIPs);
      const isRight = (verdict: Verdict): boolean =>
        verdict.kind === "dropped" ||
        (verdict.kind === "tunnel" && peers.length > 0) ||
        (verdict.kind === "uplink" && (here.includes(verdict.source) || verdict.source.endsWith("inside the tunnel")));
      const packets = [
        fromPod(source, destination),
        ...peers.map(({ mark }) => fromOpen(source, destination, mark)),
        ...Object.values(NODES).map(({ index }) => fromTunnel(source, destination, tunnelMac(index))),
      ];
      return packets
        .map((packet) => trace(node.world, packet))
        .filter((verdict) => !isRight(verdict))
        .map((verdict) => `${source} → ${destination}: ${JSON.stringify(verdict)}`);
    }),
  );
}

test.each(CASES)("on %s with %s, no one hand makes a selected packet leave with another source", (name, title) => {
  const situation = situationsOf(name).find((candidate) => candidate.name === `${name}: ${title}`);
  if (!situation) throw new Error("no such situation");
  const start = emptyNode(name);
  expect(start.apply(plan(desiredOf(situation), start.read()))).toBeUndefined();
  const found = TAMPERS.flatMap((tamper) =>
    desiredOf(situation).flatMap((object) => leaksAfter(start, situation, tamper, object)),
  );
  expect(found).toEqual([]);
});

function leaksAfter(start: FakeNode, situation: Situation, tamper: Tamper, object: KernelObject): string[] {
  if (object.kind !== tamper.kind) return [];
  const node = start.clone();
  if (!tamperWith(node, tamper, object, textOf)) return [];
  const [first] = leaks(node, situation);
  return first === undefined ? [] : [`${tamper.name}: ${textOf(object)}: ${first}`];
}
