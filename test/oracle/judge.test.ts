import { completeOptions } from "../lab/options";
import { topologyOf } from "../lab/topology";
import { type Established, Expectations } from "./expectations";
import { usualSources } from "./judge";
import { flag, icmp, type Packet, tcp, udp } from "./packet";
import { capturePoints } from "./points";
import type { Attempt } from "./traffic";
import { reach, type Verdict } from "./verdict";

const lab = topologyOf(completeOptions({ name: "paper", clients: 1, gateways: 1 }), "/nowhere");
const points = capturePoints(lab);
const [pod, podIP, nodeIP, egressIP, outside] = [
  "pod-client-1-1",
  "10.0.1.11",
  "192.168.0.11",
  "192.168.0.200",
  "203.0.113.10",
];
const at = (name: string): number => points.findIndex((point) => point.name === name);

const blank = { flags: 0, seq: 0, id: 0, fragment: 0, more: false, icmp: 0, payload: "" };
const nothing = { about: undefined, tunnelled: undefined };

/** A packet of the pod at its own device and beyond the router, where it shows `source`. */
function seen(time: number, source: string, what: Partial<Packet>): Packet[] {
  const base = { ...blank, ...nothing, proto: udp, sport: 1000, dst: outside, dport: 7, outgoing: true, ...what };
  return [
    { ...base, time, point: at(`${pod} eth0`), src: podIP },
    { ...base, time: time + 0.001, point: at("router out1"), src: source, sport: base.sport + 5000 },
  ];
}

const syn = (time: number, source: string, seq = 99): Packet[] =>
  seen(time, source, { proto: tcp, flags: flag.syn, seq });
const data = (time: number, source: string, seq = 100): Packet[] =>
  seen(time, source, { proto: tcp, flags: flag.ack, seq });
const reset = (time: number, source: string, seq = 100): Packet[] =>
  seen(time, source, { proto: tcp, flags: flag.rst, seq });
const datagram = (time: number, source: string, payload: string): Packet[] => seen(time, source, { payload });

interface Given {
  readonly attempts?: readonly Attempt[];
  readonly dropped?: readonly number[];
  readonly expect?: (expectations: Expectations) => void;
}

function verdictOf(packets: readonly Packet[], given: Given = {}): Verdict {
  const expectations = new Expectations(usualSources(lab));
  given.expect?.(expectations);
  const capture = { packets: () => packets.toSorted((a, b) => a.time - b.time) };
  const traffic = { attempts: given.attempts ?? [], held: [] };
  const { dropped = [] } = given;
  return reach(
    lab,
    { points, capture, begin: 0, end: 100, dropped, traffic, close: () => undefined },
    [],
    expectations,
  );
}

/** From second 10 to second 20 the pod is given the egress IP. */
const change =
  (established: Established) =>
  (expectations: Expectations): void => {
    expectations.add(pod, { at: 10, sources: [egressIP], adds: true });
    const done = expectations.begin(pod, 10, established);
    expectations.add(pod, { at: 20, sources: [egressIP] });
    done(20);
  };

test.each<[string, Packet[], Established, string[]]>([
  ["the node's address before a change", syn(5, nodeIP), "keep", []],
  [
    "the egress IP before a change",
    syn(5, egressIP),
    "keep",
    ["it left with 192.168.0.200; allowed then: 192.168.0.11"],
  ],
  ["the egress IP just before a change", syn(9.99, egressIP), "keep", []],
  ["either address during a change", [...syn(12, nodeIP), ...syn(13, egressIP, 1)], "keep", []],
  ["the node's address after a change", syn(25, nodeIP), "keep", ["allowed then: 192.168.0.200"]],
  ["the node's address after a change, begun before", [...syn(5, nodeIP), ...data(25, nodeIP)], "keep", []],
  ["the same where the change cuts", [...syn(5, nodeIP), ...data(25, nodeIP)], "cut", ["should have been cut"]],
  ["and where it cuts paths only", [...syn(5, nodeIP), ...data(25, nodeIP)], "cut-paths", []],
  [
    "a connection that moves",
    [...syn(12, nodeIP), ...data(13, egressIP)],
    "keep",
    ["was seen with 192.168.0.11 before"],
  ],
  [
    "one that moves in a cut",
    [...syn(12, nodeIP), ...data(13, egressIP)],
    "cut",
    ["was seen with 192.168.0.11 before"],
  ],
  ["an attempt that moves", [...syn(12, nodeIP), ...syn(13, egressIP)], "keep", ["was seen with 192.168.0.11 before"]],
  [
    "an attempt that its pod reset and begins anew",
    [...syn(12, nodeIP), ...reset(12.5, nodeIP), ...syn(13, egressIP)],
    "keep",
    [],
  ],
  [
    "a connection that its pod reset, with the same number again",
    [...syn(12, nodeIP), ...data(12.2, nodeIP), ...reset(12.5, nodeIP), ...syn(13, egressIP)],
    "keep",
    ["was seen with 192.168.0.11 before"],
  ],
  [
    "a flow that moves",
    [...datagram(5, nodeIP, "a"), ...datagram(25, egressIP, "b")],
    "keep",
    ["was seen with 192.168.0.11"],
  ],
  ["a flow that moves in a cut", [...datagram(5, nodeIP, "a"), ...datagram(25, egressIP, "b")], "cut", []],
  ["a flow after a long pause", [...datagram(5, nodeIP, "a"), ...datagram(45, egressIP, "b")], "keep", []],
  ["a raw address", datagram(5, podIP, "a"), "keep", ["it left with a pod's own address"]],
])("%s", (_, packets, established, failures) => {
  expect(verdictOf(packets, { expect: change(established) }).failures).toEqual(
    failures.map((text) => expect.stringContaining(text)),
  );
});

test("an expectation for some targets leaves the others as they are", () => {
  const expectations = new Expectations(usualSources(lab));
  expectations.add(pod, { at: 10, sources: [egressIP], targets: ["203.0.113.0/24"] });
  expectations.add(pod, { at: 20, sources: [], targets: [outside] });
  const allowed = (target: string, time: number): string[] => [...expectations.allowed(pod, target, time, time)];
  expect([allowed(outside, 9), allowed(outside, 15), allowed(outside, 25)]).toEqual([[nodeIP], [egressIP], []]);
  expect([allowed("203.0.113.11", 25), allowed("203.0.114.10", 25)]).toEqual([[egressIP], [nodeIP]]);
  expect(() => expectations.allowed("pod-x", outside, 0, 0)).toThrow('knows no "pod-x"');
});

test("a later fragment belongs to its first, and none without one passes", () => {
  const [first, later] = [
    { payload: "a", id: 7, more: true },
    { id: 7, fragment: 1480, sport: 0, dport: 0 },
  ];
  const whole = [...seen(5, nodeIP, first), ...seen(5.01, nodeIP, later)];
  expect(verdictOf(whole).failures).toEqual([]);
  expect(verdictOf(whole.slice(0, -1).concat({ ...whole[3], id: 8 } as Packet)).failures).toHaveLength(1);
});

test("who is spoken to may answer, and a node may report errors, but not with a pod's address", () => {
  const inward: Partial<Packet> = { outgoing: false, src: outside, dst: egressIP, sport: 7, dport: 6000 };
  const packet = (time: number, what: Partial<Packet>): Packet => ({
    ...(datagram(time, egressIP, "")[1] as Packet),
    ...what,
  });
  const begin = 20;
  const knock = packet(begin, { ...inward, proto: tcp, flags: flag.ack });
  const own = packet(begin + 0.01, { proto: tcp, flags: flag.rst, sport: 6000 });
  const error = packet(begin + 0.02, { proto: icmp, icmp: 0x0304, src: nodeIP, sport: 0, dport: 0, about: knock });
  expect(verdictOf([knock, own, error]).failures).toEqual([]);
  expect(verdictOf([own]).failures).toEqual([expect.stringContaining("no pod sent this")]);
  // Also for a connection of a pod that was cut, with the number of the packet that the pod sent last.
  const cut = [...syn(5, nodeIP), ...data(5.1, nodeIP), { ...knock, dst: nodeIP }];
  const forIt = packet(begin + 0.01, { proto: tcp, flags: flag.rst, sport: 6000, src: nodeIP, seq: 100 });
  expect(verdictOf([...cut, forIt], { expect: change("cut") }).failures).toEqual([]);
  expect(verdictOf([{ ...error, src: podIP }]).failures).toEqual([expect.stringContaining("a pod's own address")]);
});

test("a capture that lost packets or missed a connection proves nothing", () => {
  const [proto, target] = ["tcp" as const, outside];
  const attempt = { pod, proto, target, port: 1000, dport: 7, time: 5, until: 5.1, source: nodeIP };
  expect(verdictOf(syn(5, nodeIP), { attempts: [attempt] }).failures).toEqual([]);
  expect(verdictOf([], { attempts: [attempt] }).failures).toEqual([expect.stringContaining("the oracle is blind")]);
  expect(verdictOf([], { dropped: [0, 3] }).failures).toEqual([`the capture at ${points[1]?.name} lost 3 packets`]);
});

test("what failed is told apart by whether something was changing", () => {
  const attempt = (time: number, how: Partial<Attempt>): Attempt => {
    return { pod, proto: "tcp", target: outside, port: 1, dport: 7, time, until: time + 0.1, ...how };
  };
  const attempts = [5, 6, 15].map((time) => attempt(time, { error: "refused" }));
  const verdict = verdictOf([], { attempts, expect: change("keep") });
  expect(verdict.brokenOutsideChanges).toEqual([
    "+5.000s tcp pod-client-1-1:1 → 203.0.113.10: refused",
    "+6.000s tcp pod-client-1-1:1 → 203.0.113.10: refused",
  ]);
  expect(verdict.attempts).toEqual({ tried: 3, worked: 0, failed: 3 });
  expect(verdict.pods[pod]?.failed).toEqual([
    { proto: "tcp", target: outside, error: "refused", from: 5, until: 15, count: 3 },
  ]);
});
