import type { Lab } from "../lab";
import { Answers } from "./answers";
import { Connections } from "./connections";
import type { Court } from "./court";
import type { Expectations } from "./expectations";
import { Findings } from "./findings";
import { judgeLeaving } from "./judge-leaving";
import { judgeTunnelled } from "./judge-tunnelled";
import type { Packet } from "./packet";
import { insideRanges, type Point } from "./points";
import { rangeTest } from "./ranges";

export interface Judgement {
  readonly findings: Findings;
  readonly connections: Connections;
  /** Packets that left, judged; those of them that belong to no pod. */
  readonly judged: number;
  readonly unattributed: number;
}

/** The addresses that a pod's connections show where nobody programs anything. */
export function usualSources(lab: Lab): Map<string, readonly string[]> {
  const node = (name: string): string => lab.nodes.find((one) => one.name === name)?.underlayIP ?? "";
  const usual = new Map<string, readonly string[]>();
  for (const pod of lab.pods) usual.set(pod.name, [lab.options.masq === "none" ? pod.address : node(pod.node)]);
  // Nodes are not expected to call the outside by themselves.
  for (const { name } of lab.nodes) usual.set(name, []);
  return usual;
}

/** The packets of a run; between its begin and end none is missing. */
export interface Recorded {
  readonly points: readonly Point[];
  readonly capture: { packets(): Iterable<Packet> };
  readonly begin: number;
  readonly end: number;
}

/** Judges every packet of a run, in order of time. */
export function judge(lab: Lab, { points, capture, begin, end }: Recorded, expectations: Expectations): Judgement {
  const podAddresses = new Map(lab.pods.map((pod) => [pod.address, pod.name]));
  const nodeAddresses = new Set(lab.nodes.map((node) => node.underlayIP));
  const routerAddresses = new Set(lab.hosts.find((host) => host.role === "router")?.addresses);
  const court: Court = {
    expectations,
    connections: new Connections(),
    answers: new Answers(begin),
    findings: new Findings(),
    tuples: new Map(),
    isInside: rangeTest(insideRanges(lab)),
    isPodAddress: rangeTest([lab.ranges.pods]),
    podAt: (address) => podAddresses.get(address),
    isNodeAddress: (address) => nodeAddresses.has(address),
    isRouterAddress: (address) => routerAddresses.has(address),
    ownAddresses: ownAddresses(lab),
    pods: lab.pods.map((pod) => pod.name),
    nodes: lab.nodes.map((node) => node.name),
    judged: 0,
    unattributed: 0,
  };
  for (const packet of capture.packets()) {
    const point = points[packet.point];
    if (point === undefined || packet.time > end) continue;
    if (point.kind !== "pod" && packet.time < begin) continue;
    const leaves = packet.outgoing && !court.isInside(packet.dst);
    switch (point.kind) {
      case "pod":
        if (leaves) court.connections.sent(point.host, packet);
        break;
      case "uplink":
        if (packet.tunnelled !== undefined) judgeTunnelled(court, packet, packet.tunnelled);
        else if (leaves) judgeLeaving(court, packet, "uplink");
        break;
      case "outward":
        if (leaves) judgeLeaving(court, packet, "outward");
        else if (!packet.outgoing) court.answers.noteInward(packet);
        break;
    }
  }
  const { findings, connections, judged, unattributed } = court;
  return { findings, connections, judged, unattributed };
}

function ownAddresses(lab: Lab): Map<string, readonly string[]> {
  return new Map(
    lab.pods.map((pod) => {
      const node = lab.nodes.find((one) => one.name === pod.node);
      return [pod.name, node === undefined ? [pod.address] : [pod.address, node.underlayIP]];
    }),
  );
}
