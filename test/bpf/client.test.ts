import { decode, encode, GATEWAY_EXCLUDED, GATEWAY_NONE, write } from "../../provider/kernel/bpf-layout";
import { ago, Kernel, type Outcome, type Programs } from "./kernel";
import {
  datagram,
  type End,
  ETHERNET,
  frame,
  NOTHING,
  PROTOCOLS,
  RECORDS,
  type Shape,
  SOURCE_ROUTES,
  wrongSums,
} from "./packet";

const POD: End = { address: "10.0.1.11", port: 40000 };
const OUTSIDE: End = { address: "203.0.113.9", port: 443 };
const GATEWAY = "192.168.0.101";
const GATEWAY_MAC = "66:26:00:00:00:65";
/** As test/bpf/from-gateway-101.bpf.c has it. */
const OWN = "192.168.0.11";
const OWN_MAC = "66:26:00:00:00:0b";
const EGRESS = "192.0.2.1";

let kernel: Kernel;
let programs: Programs;

beforeAll(() => {
  kernel = Kernel.start();
  for (const address of [POD.address, "10.0.1.12", "10.0.9.9"]) kernel.ip(`route add ${address}/32 dev pod`);
});
afterAll(() => kernel.stop());

const load = (shapes: Parameters<Kernel["load"]>[2] = {}): void => {
  programs = kernel.load(
    "../test/bpf/from-gateway-101.bpf.c",
    { tunnel_ifindex: write("u32", 2), tunnel_mac: write("mac", OWN_MAC), node_address: write("address", OWN) },
    shapes,
  );
  programs.set("egw_peers", write("address", GATEWAY), write("mac", GATEWAY_MAC));
  programs.set("egw_underlays", write("mac", GATEWAY_MAC), write("address", GATEWAY));
  policy(POD.address, "203.0.113.0/24", GATEWAY);
};
beforeEach(() => load());

function policy(source: string, destination: string, gateway: string): void {
  const [network = "", length = "32"] = destination.split("/");
  programs.set(
    "egw_policies",
    encode("egw_policy_key", { prefix_length: 32 + Number(length), source, destination: network }),
    encode("egw_policy", { egress_ip: EGRESS, gateway }),
  );
}

const tupleOf = ({ from, to, protocol }: Shape): Buffer =>
  encode("egw_tuple", {
    source: from.address,
    destination: to.address,
    source_port: from.port,
    destination_port: to.port,
    protocol: PROTOCOLS[protocol],
  });

/** A flow that was seen so many seconds ago, of the device `pod` unless another one is given; 0 = not known yet. */
const flow = (shape: Shape, { silent = 0, state = 0, ifindex = kernel.indexOf("pod"), gateway = GATEWAY } = {}): void =>
  programs.set("egw_flows", tupleOf(shape), encode("egw_flow", { seen: ago(silent), gateway, ifindex, state }));
/** Something that began so many seconds ago by the device `pod`. */
const opened = (shape: Shape, silent: number): void =>
  programs.set(
    "egw_openings",
    tupleOf(shape),
    encode("egw_opening", { seen: ago(silent), ifindex: kernel.indexOf("pod") }),
  );
const openings = () => programs.entries("egw_openings").map(({ value }) => decode("egw_opening", value));
const flows = () => programs.entries("egw_flows").map(({ value }) => decode("egw_flow", value));

const syn: Shape = { from: POD, to: OUTSIDE, protocol: "tcp" };
const data: Shape = { ...syn, flags: ["ACK", "PSH"], payload: Buffer.from("hello") };
const udp: Shape = { ...syn, protocol: "udp" };
const answer: Shape = { from: OUTSIDE, to: POD, protocol: "udp" };
const synAck: Shape = { from: OUTSIDE, to: POD, protocol: "tcp", flags: ["SYN", "ACK"] };
/** Of what is about to be deleted. */
const NONE = "0.0.0.0";
const fromPod = (shape: Shape, device = "pod") => programs.run("from_pod", frame(shape), { device });
/** What the stack sends into the tunnel. */
const toTunnel = (shape: Shape, to = GATEWAY_MAC) =>
  programs.run("to_tunnel", frame({ ...shape, macs: { from: OWN_MAC, to } }));
const shown = ({ action, counted }: Outcome) => [action, ...counted];
const TUNNELLED = ["redirect", "from-pod to-tunnel-device"];
const left = (verdict: string) => ["unspec", `from-pod ${verdict}`];
const learned = (verdict: string) => ["unspec", `to-tunnel ${verdict}`];

/** The pod's device, by which something has begun. */
const opening = () => 0x8000_0000 + kernel.indexOf("pod");

test.each<[string, readonly (readonly ["pod" | "outside", NonNullable<Shape["flags"]>])[], number]>([
  [
    "an open connection has no end",
    [
      ["pod", ["ACK"]],
      ["outside", ["ACK"]],
    ],
    1,
  ],
  [
    "the pod's end",
    [
      ["pod", ["FIN", "ACK"]],
      ["pod", ["ACK"]],
    ],
    2,
  ],
  [
    "the other side's end",
    [
      ["outside", ["FIN", "ACK"]],
      ["outside", ["ACK"]],
    ],
    5,
  ],
  [
    "both ends",
    [
      ["outside", ["FIN", "ACK"]],
      ["pod", ["FIN", "ACK"]],
      ["outside", ["ACK"]],
    ],
    7,
  ],
  ["a reset by the pod", [["pod", ["RST"]]], 8],
  ["a reset by the other side", [["outside", ["RST", "ACK"]]], 9],
  [
    "a reset that the pod does not believe",
    [
      ["outside", ["RST", "ACK"]],
      ["pod", ["ACK"]],
    ],
    1,
  ],
])("a flow knows how far its connection has ended: %s", (_, packets, state) => {
  flow(syn);
  for (const [side, flags] of packets) {
    const { action } =
      side === "pod" ? fromPod({ ...data, flags }) : fromGateway({ ...data, from: OUTSIDE, to: POD, flags });
    expect(action).toBe("redirect");
  }
  expect(flows()).toMatchObject([{ state }]);
});

test("what the stack has sent to a gateway goes there from then on, one hop older", () => {
  expect(shown(fromPod(syn))).toEqual(left("stack-unknown-flow"));
  expect(shown(toTunnel(syn))).toEqual(learned("connection-new"));
  expect(flows()).toMatchObject([{ gateway: GATEWAY, ifindex: opening() }]);
  const { packet, ...outcome } = fromPod(data);
  expect(shown({ packet, ...outcome })).toEqual(TUNNELLED);
  expect(packet).toEqual(frame({ ...data, ttl: 63, macs: { from: OWN_MAC, to: GATEWAY_MAC } }));
  expect(outcome.mark).toBe(0x14000000);
  expect(flows()).toMatchObject([{ gateway: GATEWAY, ifindex: kernel.indexOf("pod") }]);
});

test("a SYN is the stack's, though a connection by the same ports was known, and forgets it", () => {
  flow(syn);
  expect(shown(fromPod(syn))).toEqual(left("stack-unknown-flow"));
  expect(flows()).toEqual([]);
  expect(openings()).toMatchObject([{ ifindex: kernel.indexOf("pod") }]);
  expect(shown(fromPod(data))).toEqual(left("stack-mid-flow"));
  // Its policy is gone since: nothing of the old one cuts the new one.
  flow(syn);
  const elsewhere = encode("egw_policy_key", { prefix_length: 56, source: POD.address, destination: "203.0.113.0" });
  programs.remove("egw_policies", elsewhere);
  expect(shown(fromPod(syn))).toEqual(left("not-selected"));
  expect(shown(fromPod(data))).toEqual(left("not-selected"));
  expect(flows()).toEqual([]);
});

test("what begins is noted with its device, and is no flow until the stack has sent it to a gateway as it is", () => {
  fromPod(syn, "other");
  expect(openings()).toEqual([]);
  fromPod(syn);
  const [first] = openings();
  fromPod(syn);
  expect(openings()).toMatchObject([{ ifindex: kernel.indexOf("pod") }]);
  expect(openings()[0]?.seen).toBeGreaterThan(first?.seen ?? 0n);
  expect(flows()).toEqual([]);
  // The stack has given it another destination: what answers that is none of the pod's until the stack has seen it.
  const translated = { ...syn, to: { ...OUTSIDE, port: 8443 } };
  toTunnel(translated);
  expect(shown(fromGateway({ ...synAck, from: translated.to }))).toEqual(["unspec", answered("stack-one-way")]);
  expect(shown(fromGateway(synAck))).toEqual(["unspec", answered("stack-unknown-flow")]);
  expect(shown(fromPod(data))).toEqual(left("stack-mid-flow"));
});

test("what was noted a while ago says nothing of what the stack sends now", () => {
  opened(udp, 2);
  toTunnel(udp);
  expect(flows()).toMatchObject([{ gateway: GATEWAY, ifindex: 0 }]);
});

test("what was noted is for one connection: another by the same ports and a device without a program has none", () => {
  opened(syn, 0);
  toTunnel(syn);
  expect(flows()).toMatchObject([{ gateway: GATEWAY, ifindex: opening() }]);
  toTunnel(syn);
  expect(flows()).toMatchObject([{ gateway: GATEWAY, ifindex: 0 }]);
});

test("what is about to be deleted is no flow", () => {
  flow(data, { gateway: NONE });
  expect(shown(fromPod(data))).toEqual(left("stack-mid-flow"));
});

test("the answer to what has begun goes to its pod; of TCP that is a SYN-ACK, and a refusal is the stack's", () => {
  flow(syn, { ifindex: opening() });
  const short = ["redirect", answered("to-pod")];
  expect(shown(fromGateway(synAck))).toEqual(short);
  for (const flags of [["RST", "ACK"], ["RST", "SYN"], ["ACK"]] as const)
    expect(shown(fromGateway({ ...synAck, flags }))).toEqual(["unspec", answered("stack-one-way")]);
  const quote = frame(syn).subarray(ETHERNET);
  const error: Shape = { from: OUTSIDE, to: POD, protocol: "icmp", icmpType: 3, quote };
  expect(shown(fromGateway(error))).toEqual(["unspec", answered("stack-one-way")]);
  expect(shown(fromPod(data))).toEqual(TUNNELLED);
  expect(flows()).toMatchObject([{ gateway: GATEWAY, ifindex: kernel.indexOf("pod") }]);
  expect(shown(fromGateway({ ...synAck, flags: ["RST", "ACK"] }))).toEqual(short);
  flow(udp, { ifindex: opening() });
  expect(shown(fromGateway(answer))).toEqual(short);
});

test("a pod that forges another one's first packets is not answered by the short way", () => {
  flow(udp, { ifindex: 0x8000_0000 + kernel.indexOf("other") });
  expect(shown(fromPod(udp))).toEqual(TUNNELLED);
  expect(flows()).toMatchObject([{ ifindex: kernel.indexOf("pod") }]);
  flow(data, { ifindex: opening() });
  expect(shown(fromPod(data, "other"))).toEqual(left("stack-other-device"));
});

test.each<[string, Shape, number, number, number]>([
  ["udp", udp, 0, 26, 29],
  ["udp, one exchange", udp, 1, 26, 29],
  ["udp that goes on unanswered", udp, 16, 26, 29],
  ["udp that goes on", udp, 17, 116, 119],
  ["an echo", { ...syn, to: { ...OUTSIDE, port: 0 }, protocol: "icmp" }, 17, 26, 29],
])("a flow of datagrams ends before the gateway node's: %s", (_, shape, state, alive, dead) => {
  flow(shape, { silent: alive, state });
  const before = flows()[0]?.seen ?? 0n;
  expect(shown(fromPod(shape))).toEqual(TUNNELLED);
  expect(flows()[0]?.seen).toBeGreaterThan(before);
  flow(shape, { silent: dead, state });
  expect(shown(fromPod(shape))).toEqual(left("stack-unknown-flow"));
  toTunnel(shape);
  expect(shown(fromPod(shape))).toEqual(TUNNELLED);
});

test("a TCP connection ends by no silence here: what follows has no SYN, and is none of the stack's", () => {
  flow(syn, { silent: 500_000, state: 1 });
  expect(shown(fromPod(data))).toEqual(TUNNELLED);
});

test.each([
  ["tcp", data, { ...synAck, flags: ["ACK"] }],
  ["udp", udp, answer],
] as const)("what has options goes the way of its flow, both ways: %s", (_, sent, got) => {
  flow(sent);
  const macs = { from: OWN_MAC, to: GATEWAY_MAC };
  for (const ipOptions of [NOTHING, ...RECORDS]) {
    const there = fromPod({ ...sent, ipOptions });
    expect(shown(there)).toEqual(TUNNELLED);
    expect(there.packet).toEqual(frame({ ...sent, ipOptions, ttl: 63, macs }));
    const back = fromGateway({ ...got, ipOptions });
    expect(shown(back)).toEqual(["redirect", answered("to-pod")]);
    expect(back.packet.subarray(ETHERNET)).toEqual(datagram({ ...got, ipOptions, ttl: 63 }));
  }
  for (const fragment of [undefined, 0x2000])
    for (const ipOptions of SOURCE_ROUTES)
      expect(shown(fromGateway({ ...got, ipOptions, fragment }))).toEqual(["unspec", answered("stack-options")]);
});

test("a flow does not go on by what the gateway node does not count", () => {
  for (const take of [
    () => fromPod({ ...udp, ttl: 1 }),
    () => fromPod({ ...udp, payload: Buffer.alloc(1500) }),
    () => fromGateway({ from: OUTSIDE, to: POD, protocol: "icmp", icmpType: 3, quote: datagram(udp) }),
  ]) {
    flow(udp, { silent: 5 });
    const before = flows();
    take();
    expect(flows()).toEqual(before);
  }
});

test.each([
  ["at once", 0, 0, 1],
  // The gateway node, which has counted a second at most, knows that by then.
  ["after more than a second", 1.2, 0, 1],
  ["later", 2, 16, 17],
])("a flow knows whether it goes on, and whether it is answered: %s", (_, silent, sent, got) => {
  for (const [take, state] of [
    [() => fromPod(udp), sent],
    [() => fromGateway(answer), got],
  ] as const) {
    flow(udp);
    const [only] = programs.entries("egw_flows");
    if (!only) throw new Error("no flow");
    const seen = ago(silent);
    programs.set("egw_flows", only.key, encode("egw_flow", { ...decode("egw_flow", only.value), seen }));
    take();
    expect(flows()).toMatchObject([{ state }]);
  }
});

test("a pod that uses another one's address and ports gets nothing into the tunnel", () => {
  for (const known of [{ ifindex: 0 }, { ifindex: kernel.indexOf("pod") }])
    for (const forged of [data, udp, syn]) {
      flow(forged, known);
      expect(shown(fromPod(forged, "other"))).toEqual(left("stack-other-device"));
    }
  // An error about an answer that another one got.
  const quote = frame({ from: OUTSIDE, to: POD, protocol: "udp" }).subarray(ETHERNET);
  const error: Shape = { from: { address: "10.0.1.12", port: 0 }, to: OUTSIDE, protocol: "icmp", icmpType: 3, quote };
  expect(shown(fromPod(error, "other"))).toEqual(left("stack-other-device"));
  expect(shown(fromPod(data))).toEqual(TUNNELLED);
});

test("a pod that is routed by another device than before goes on by that one", () => {
  flow(udp, { ifindex: kernel.indexOf("other") });
  expect(shown(fromPod(udp))).toEqual(TUNNELLED);
  expect(flows()).toMatchObject([{ ifindex: kernel.indexOf("pod") }]);
});

test("where the node itself is the gateway all is left to the stack, and nothing is learned", () => {
  policy(POD.address, "203.0.113.0/24", OWN);
  for (const shape of [syn, data, udp]) {
    expect(shown(fromPod(shape))).toEqual(left("stack-own-node"));
    toTunnel(shape);
  }
  expect(flows()).toEqual([]);
});

test.each<[string, Partial<Shape>, string]>([
  ["goes elsewhere", { to: { ...OUTSIDE, address: "198.51.100.7" } }, "not-selected"],
  ["comes from another pod", { from: { ...POD, address: "10.0.1.12" } }, "not-selected"],
  ["begins, be it a SYN", { protocol: "tcp" }, "stack-unknown-flow"],
  ["begins", {}, "stack-unknown-flow"],
  ["is an echo request", { protocol: "icmp" }, "stack-unknown-flow"],
  ["is mid-flow, of a connection that is not known", { protocol: "tcp", flags: ["ACK"] }, "stack-mid-flow"],
  ["is an answer", { protocol: "tcp", flags: ["SYN", "ACK"] }, "stack-mid-flow"],
  ["is a first fragment", { fragment: 0x2000 }, "stack-fragment"],
  ["is a last fragment", { fragment: 0x0010 }, "stack-fragment"],
  ["begins, with options", { ipOptions: NOTHING }, "stack-unknown-flow"],
  ["says by whom it goes, loosely", { ipOptions: SOURCE_ROUTES[0] }, "stack-options"],
  ["says by whom it goes, strictly", { ipOptions: SOURCE_ROUTES[1] }, "stack-options"],
  ["has a protocol without ports", { protocol: "gre" }, "stack-protocol"],
  ["is at its last hop", { ttl: 1 }, "stack-ttl"],
])("what %s is left to the stack as it is", (_, change, verdict) => {
  const shape = { ...udp, ...change };
  if (["stack-ttl", "stack-options"].includes(verdict)) flow(shape);
  const { packet, ...outcome } = fromPod(shape);
  expect(shown({ packet, ...outcome })).toEqual(left(verdict));
  expect(packet).toEqual(frame(shape));
});

const long = (shape: Shape, bytes: number) => ({ ...shape, payload: Buffer.alloc(bytes) });

test("what is too long for the tunnel is left to the stack, but for TCP, of which the stack knows too little", () => {
  flow(syn);
  flow(udp);
  expect(shown(fromPod(long(udp, 1450 - 28)))).toEqual(TUNNELLED);
  expect(shown(fromPod(long(udp, 1450 - 27)))).toEqual(left("stack-too-big"));
  expect(shown(fromPod(long(data, 1450 - 39)))).toEqual(TUNNELLED);
  expect(shown(fromPod({ ...long(data, 1450), to: { ...OUTSIDE, port: 1 } }))).toEqual(left("stack-mid-flow"));
  // The first of fragments too: those behind it follow it.
  expect(shown(fromPod({ ...long(udp, 1450), fragment: 0x2000 }))).toEqual(left("stack-too-big"));
  expect(shown(fromPod({ ...udp, fragment: 0x0010 }))).toEqual(left("stack-fragment"));
});

test("what is too long goes to the gateway of its flow where the stack would send it elsewhere", () => {
  flow(udp);
  const send = () => shown(fromPod(long(udp, 1450)));
  const sendPiece = () => shown(fromPod({ ...long(udp, 1450), fragment: 0x2000 }));
  expect(send()).toEqual(left("stack-too-big"));
  for (const gateway of ["192.168.0.102", OWN, GATEWAY_NONE, GATEWAY_EXCLUDED]) {
    policy(POD.address, "203.0.113.0/24", gateway);
    expect([send(), sendPiece()]).toEqual([TUNNELLED, TUNNELLED]);
  }
  programs.remove(
    "egw_policies",
    encode("egw_policy_key", { prefix_length: 56, source: POD.address, destination: "203.0.113.0" }),
  );
  expect(send()).toEqual(TUNNELLED);
});

test("what is not IPv4 is let alone", () => {
  const arp = frame(syn);
  arp.writeUInt16BE(0x0806, 12);
  expect(shown(programs.run("from_pod", arp))).toEqual(left("not-ipv4"));
});

test("an excluded network inside a policy's is let alone, and a network without a gateway is closed to what begins", () => {
  policy(POD.address, "203.0.113.0/28", GATEWAY_EXCLUDED);
  policy(POD.address, "203.0.113.128/25", GATEWAY_NONE);
  const closed = { ...OUTSIDE, address: "203.0.113.200" };
  expect(shown(fromPod(syn))).toEqual(left("excluded"));
  expect(shown(fromPod({ ...syn, to: closed }))).toEqual(["shot", "from-pod drop-no-gateway"]);
  for (const open of [data, udp]) expect(shown(fromPod({ ...open, to: closed }))).toEqual(left("stack-no-gateway"));
  toTunnel(syn);
  expect(flows()).toEqual([]);
  expect(shown(fromPod({ ...syn, to: { ...OUTSIDE, address: "203.0.113.20" } }))).toEqual(left("stack-unknown-flow"));
});

test("what was open before its network lost its gateway goes on", () => {
  flow(data);
  policy(POD.address, "203.0.113.0/24", GATEWAY_NONE);
  expect(shown(fromPod(data))).toEqual(TUNNELLED);
});

test("a wide source is selected by its class, and an exception of the pod's own policy is none of that", () => {
  const other = { ...syn, from: { ...POD, address: "10.0.9.9" } };
  expect(shown(fromPod(other))).toEqual(left("not-selected"));
  programs.set(
    "egw_sources",
    encode("egw_source_key", { prefix_length: 16, source: "10.0.0.0" }),
    write("address", "0.0.0.7"),
  );
  policy("0.0.0.7", "203.0.113.0/24", GATEWAY);
  policy(POD.address, "203.0.113.9/32", GATEWAY_EXCLUDED);
  for (const shape of [other, syn]) expect(shown(fromPod(shape))).toEqual(left("stack-unknown-flow"));
  policy("0.0.0.7", "203.0.113.9/32", GATEWAY_EXCLUDED);
  for (const shape of [
    { ...other, from: { ...other.from, port: 1 } },
    { ...syn, from: { ...POD, port: 1 } },
  ])
    expect(shown(fromPod(shape))).toEqual(left("excluded"));
  // Where the class says nothing, the pod's own entry does.
  policy(POD.address, "198.51.100.0/24", GATEWAY_EXCLUDED);
  expect(shown(fromPod({ ...syn, to: { ...OUTSIDE, address: "198.51.100.7" } }))).toEqual(left("excluded"));
});

test("a connection that was open keeps its gateway, whatever policies say by now", () => {
  flow(data);
  const toItsGateway = () => fromPod(data).packet.subarray(0, 6).toString("hex");
  policy(POD.address, "203.0.113.0/24", "192.168.0.102");
  expect(toItsGateway()).toBe(GATEWAY_MAC.replaceAll(":", ""));
  programs.remove(
    "egw_policies",
    encode("egw_policy_key", { prefix_length: 56, source: POD.address, destination: "203.0.113.0" }),
  );
  expect(toItsGateway()).toBe(GATEWAY_MAC.replaceAll(":", ""));
});

test("only what goes to a gateway's device is learned, from the first of fragments too, and the last choice counts", () => {
  const error: Shape = { from: POD, to: OUTSIDE, protocol: "icmp", icmpType: 3, quote: datagram(answer) };
  policy(POD.address, "198.51.100.0/24", GATEWAY_EXCLUDED);
  policy(POD.address, "198.51.101.0/24", OWN);
  const to = (address: string): Shape => ({ ...udp, to: { ...OUTSIDE, address } });
  expect(shown(toTunnel(udp, "66:26:00:00:ff:ff"))).toEqual(learned("stack-no-gateway"));
  expect(shown(toTunnel({ ...udp, from: { ...POD, address: "10.0.1.12" } }))).toEqual(learned("not-selected"));
  expect(shown(toTunnel(to("198.51.100.7")))).toEqual(learned("excluded"));
  expect(shown(toTunnel(to("198.51.101.7")))).toEqual(learned("stack-own-node"));
  expect(shown(toTunnel({ ...udp, fragment: 0x0010 }))).toEqual(learned("stack-fragment"));
  expect(shown(toTunnel(error))).toEqual(learned("stack-protocol"));
  expect(flows()).toEqual([]);
  expect(shown(toTunnel({ ...udp, fragment: 0x2000 }))).toEqual(learned("connection-new"));
  expect(shown(toTunnel(udp))).toEqual(learned("connection-hit"));
  expect(shown(fromPod(udp))).toEqual(TUNNELLED);
  const other = { address: "192.168.0.102", mac: "66:26:00:00:00:66" };
  programs.set("egw_underlays", write("mac", other.mac), write("address", other.address));
  for (const change of [{}, { fragment: 0x2000 }]) {
    flow(udp);
    toTunnel({ ...udp, ...change }, other.mac);
    expect(flows()).toMatchObject([{ gateway: other.address, ifindex: 0 }]);
  }
});

test("what the stack sends of a flow has come by a device without a program: the answers are the stack's", () => {
  for (const [ifindex, silent] of [
    [kernel.indexOf("pod"), 0],
    [opening(), 2],
  ] as const)
    for (const [shape, back, verdict] of [
      [syn, synAck, "connection-new"],
      [data, { ...synAck, flags: ["ACK"] }, "connection-hit"],
      [udp, answer, "connection-hit"],
    ] as const) {
      flow(shape, { ifindex, silent, state: 3 });
      expect(shown(toTunnel(shape))).toEqual(learned(verdict));
      expect(shown(fromGateway(back))).toEqual(["unspec", answered("stack-one-way")]);
    }
  // What comes right behind what begins, before that was learned.
  load();
  for (const size of [1, 2]) fromPod({ ...udp, payload: Buffer.alloc(size) });
  for (const size of [1, 2]) toTunnel({ ...udp, payload: Buffer.alloc(size) });
  expect(flows()).toMatchObject([{ gateway: GATEWAY, ifindex: opening() }]);
  // By iptables, to a gateway that programs have nothing to do with.
  load();
  policy(POD.address, "203.0.113.0/24", GATEWAY_EXCLUDED);
  for (const shape of [syn, udp]) {
    flow(shape);
    toTunnel(shape, "66:26:00:00:ff:ff");
    expect(flows()).toEqual([]);
  }
  // Of one that has been there all the time the stack makes fragments, and sends what says by whom it goes.
  load();
  flow(udp);
  for (const [change, verdict] of [
    [{ fragment: 0x2000 }, "connection-hit"],
    [{ ipOptions: SOURCE_ROUTES[0] }, "stack-options"],
  ] as const) {
    expect(shown(toTunnel({ ...udp, ...change }))).toEqual(learned(verdict));
    expect(flows()).toMatchObject([{ ifindex: kernel.indexOf("pod") }]);
  }
});

test("what a program has sent into the tunnel is no choice of the stack's, and loses its mark", () => {
  const packet = frame({ ...udp, macs: { from: OWN_MAC, to: GATEWAY_MAC } });
  expect(programs.run("to_tunnel", packet, { mark: 0x14004000 })).toMatchObject({ action: "unspec", mark: 0x4000 });
  expect(flows()).toEqual([]);
});

test("an ICMP error goes to nobody but whom it is for", () => {
  flow(syn);
  const quote = frame({ from: OUTSIDE, to: POD, protocol: "tcp" }).subarray(ETHERNET);
  const elsewhere = { address: "198.51.100.77", port: 0 };
  const error: Shape = { from: POD, to: elsewhere, protocol: "icmp", icmpType: 3, quote };
  expect(shown(fromPod(error))).toEqual(left("stack-protocol"));
  expect(shown(fromPod({ ...error, to: OUTSIDE }))).toEqual(TUNNELLED);
});

test("what stands behind another header than Ethernet's is let alone", () => {
  const whole = frame({ ...syn, protocol: "udp", payload: Buffer.from("x") });
  const run = (packet: Buffer) => shown(programs.run("from_pod", packet, { device: "pod" }));
  const [macs, rest] = [whole.subarray(0, ETHERNET), whole.subarray(ETHERNET)];
  // Another version, and a header that is shorter than one can be.
  for (const first of [0x60, 0x65, 0x44])
    expect(run(Buffer.concat([macs, Buffer.from([first]), rest.subarray(1)]))).toEqual(left("not-ipv4"));
});

test("what a pod answers to callers takes no place of a flow", () => {
  load({ egw_flows: { entries: 512 }, egw_openings: { entries: 512 } });
  flow(data);
  for (let port = 1; port <= 1500; port++) fromPod({ ...udp, to: { ...OUTSIDE, port } });
  expect(openings().length).toBeLessThanOrEqual(512);
  expect(shown(fromPod(data))).toEqual(TUNNELLED);
});

test("where the map is full the flow that was silent the longest goes to the stack, and begins anew", () => {
  load({ egw_flows: { entries: 512 } });
  flow(syn);
  programs.crowd("egw_flows", 2000);
  expect(programs.entries("egw_flows").length).toBeLessThanOrEqual(512);
  expect(shown(fromPod(data))).toEqual(left("stack-mid-flow"));
  fromPod(syn);
  toTunnel(syn);
  expect(shown(fromPod(data))).toEqual(TUNNELLED);
});

test("an ICMP error about an answer goes where the connection goes", () => {
  flow(udp);
  const answer = frame({ from: OUTSIDE, to: POD, protocol: "udp" }).subarray(ETHERNET);
  const error: Shape = { from: POD, to: OUTSIDE, protocol: "icmp", icmpType: 3, quote: answer };
  const { packet, ...outcome } = fromPod(error);
  expect(shown({ packet, ...outcome })).toEqual(TUNNELLED);
  expect(wrongSums(packet)).toEqual([]);
  const unknown = frame({ from: OUTSIDE, to: { ...POD, port: 9 }, protocol: "udp" }).subarray(ETHERNET);
  expect(shown(fromPod({ ...error, quote: unknown }))).toEqual(left("stack-mid-flow"));
});

const fromGateway = (shape: Shape, program = "from_gateway_101") =>
  programs.run(program, frame({ ...shape, macs: { from: GATEWAY_MAC, to: OWN_MAC } }));
const answered = (verdict: string) => `from-gateway ${verdict}`;

test("an answer goes to its pod, one hop older, and keeps its flow alive", () => {
  flow(udp, { silent: 100, state: 17 });
  const { packet, ...outcome } = fromGateway(answer);
  expect(shown({ packet, ...outcome })).toEqual(["redirect", answered("to-pod")]);
  expect(packet.subarray(ETHERNET)).toEqual(frame({ ...answer, ttl: 63 }).subarray(ETHERNET));
  expect(ago(0) - (flows()[0]?.seen ?? 0n)).toBeLessThan(10_000_000_000n);
});

test.each([
  ["of a connection of the stack's, too", 0, ["unspec", answered("stack-one-way")], 64],
  ["otherwise", undefined, ["redirect", answered("to-pod")], 63],
])("a SYN-ACK names no longer segments than the tunnel takes: %s", (_, ifindex, way, ttl) => {
  flow(syn, ifindex === undefined ? {} : { ifindex });
  const { packet, ...outcome } = fromGateway({ ...synAck, tcpOptions: Buffer.from([2, 4, 0x05, 0xb4]) });
  expect(shown({ packet, ...outcome })).toEqual(way);
  const clamped = datagram({ ...synAck, ttl, tcpOptions: Buffer.from([2, 4, 0x05, 0x82]) });
  expect(packet.subarray(ETHERNET)).toEqual(clamped);
});

test("answers are the stack's as long as no program has taken what the pod sends", () => {
  flow(udp, { ifindex: 0 });
  expect(shown(fromGateway(answer))).toEqual(["unspec", answered("stack-one-way")]);
  expect(shown(fromPod(udp))).toEqual(TUNNELLED);
  expect(shown(fromGateway(answer))).toEqual(["redirect", answered("to-pod")]);
});

test("what comes out of the tunnel and is no answer of its flow's gateway is left to the next program, or dropped", () => {
  expect(shown(fromGateway(answer))).toEqual(["unspec", answered("stack-unknown-flow")]);
  flow(udp, { silent: 125 });
  expect(shown(fromGateway(answer))).toEqual(["unspec", answered("stack-unknown-flow")]);
  flow(udp);
  expect(shown(fromGateway(answer, "from_gateway"))).toEqual(["shot", answered("drop-not-admitted")]);
  flow(udp, { gateway: "192.168.0.102" });
  expect(shown(fromGateway(answer))).toEqual(["shot", answered("drop-not-admitted")]);
  flow(udp);
  expect(shown(fromGateway({ ...answer, ttl: 1 }))).toEqual(["unspec", answered("stack-ttl")]);
});
