import { decode, encode, write } from "../../provider/kernel/bpf-layout";
import { ago, Kernel, type Outcome, type Programs } from "./kernel";
import { datagram, type End, ETHERNET, frame, PROTOCOLS, type Shape, SOURCE_ROUTES, sum, wrongSums } from "./packet";

const POD: End = { address: "10.0.1.11", port: 40000 };
const OUTSIDE: End = { address: "203.0.113.9", port: 443 };
const EGRESS = "192.0.2.1";
/** Both nodes are reached by the uplink's network. */
const CLIENT = { address: "10.9.0.11", mac: "66:26:00:00:00:0b" };
const GATEWAY = { address: "10.9.0.101", mac: "66:26:00:00:00:65" };
const PORT = 4790;
const VNI = 4097;
const OUTER = 50;

let kernel: Kernel;
let programs: Programs;

beforeAll(() => {
  kernel = Kernel.start();
  kernel.ip(`addr add ${EGRESS}/32 dev uplink`);
  kernel.ip(`route add ${POD.address}/32 dev pod`);
});
afterAll(() => kernel.stop());

const load = (object: "client" | "gateway", own: typeof CLIENT, aggregates = 0): void => {
  programs = kernel.load(`${object}.bpf.c`, {
    tunnel_ifindex: write("u32", 2),
    tunnel_mac: write("mac", own.mac),
    tunnel_port: write("port", PORT),
    node_address: write("address", own.address),
    ...(object === "gateway"
      ? { uplink_ifindex: write("u32", kernel.indexOf("uplink")), take_aggregates: write("u32", aggregates) }
      : {}),
  });
  programs.set(
    "egw_policies",
    encode("egw_policy_key", { prefix_length: 56, source: POD.address, destination: "203.0.113.0" }),
    encode("egw_policy", { egress_ip: EGRESS, gateway: GATEWAY.address }),
  );
};

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const mac = (text: string): Buffer => Buffer.from(text.replaceAll(":", ""), "hex");

interface Tunnel {
  readonly from: typeof CLIENT;
  readonly to: typeof CLIENT;
  readonly ip?: Readonly<Record<number, number>>;
  readonly port?: number;
  readonly checksum?: number;
  readonly flags?: number;
  readonly vni?: number;
  readonly inner?: number;
  readonly device?: string;
}

/** A frame of the tunnel between two nodes. `ip` = other bytes of the outer IP header, by their offset. */
function tunnelled(shape: Shape, tunnel: Tunnel): Buffer {
  const {
    from,
    to,
    ip = {},
    port = PORT,
    checksum = 0,
    flags = 8,
    vni = VNI,
    inner = 0x0800,
    device = to.mac,
  } = tunnel;
  const body = datagram(shape);
  const length = body.length + ETHERNET + 8 + 8;
  const outer: Shape = { from: { ...from, port: 50000 }, to: { ...to, port }, protocol: "udp" };
  const head = datagram({ ...outer, payload: Buffer.alloc(body.length + ETHERNET + 8) }).subarray(0, 20);
  for (const [at, byte] of Object.entries(ip)) head[Number(at)] = byte;
  u16(0).copy(head, 10);
  u16(sum(head)).copy(head, 10);
  return Buffer.concat([
    frame(outer).subarray(0, ETHERNET),
    head,
    u16(50000),
    u16(port),
    u16(length),
    u16(checksum),
    Buffer.from([flags, 0, 0, 0, vni >> 16, (vni >> 8) & 0xff, vni & 0xff, 0]),
    mac(device),
    mac(from.mac),
    u16(inner),
    body,
  ]);
}

const shown = ({ action, counted }: Outcome) => [action, ...counted];
const ip = ({ packet }: Outcome) => packet.subarray(ETHERNET);
const tcp: Shape = { from: POD, to: OUTSIDE, protocol: "tcp" };
const udp: Shape = { ...tcp, protocol: "udp", payload: Buffer.from("hello") };
const answer: Shape = { from: OUTSIDE, to: POD, protocol: "udp", payload: Buffer.from("olleh") };
const at = (port: number): End => ({ address: EGRESS, port });

function flow({ from, to, protocol }: Shape, change: { gateway?: string; ifindex?: number } = {}): void {
  const ends = { source: from.address, destination: to.address, source_port: from.port, destination_port: to.port };
  programs.set(
    "egw_flows",
    encode("egw_tuple", { ...ends, protocol: PROTOCOLS[protocol] }),
    encode("egw_flow", { seen: ago(0), gateway: GATEWAY.address, ifindex: kernel.indexOf("pod"), state: 0, ...change }),
  );
}

/** What every frame has that a program encapsulates, but for its Ethernet header, id and source port. */
function withoutChoices(bytes: Buffer): Buffer {
  const rest = Buffer.from(bytes.subarray(ETHERNET));
  for (const [from, to] of [
    [4, 6],
    [10, 12],
    [20, 22],
  ] as const)
    rest.fill(0, from, to);
  return rest;
}

describe("on a client node", () => {
  beforeEach(() => {
    load("client", CLIENT);
    programs.set("egw_peers", write("address", GATEWAY.address), write("mac", GATEWAY.mac));
  });
  const fromPod = (shape: Shape, size = 0) => programs.run("from_pod", frame(shape), { device: "pod", size });
  const uplink = (shape: Shape, change: Partial<Tunnel> = {}, device = "uplink") =>
    programs.run("uplink_client", tunnelled(shape, { from: GATEWAY, to: CLIENT, ...change }), { device });

  test("an answer that the pod's device does not take whole is left to the tunnel's device as it is", async () => {
    flow(udp);
    const long = { ...answer, payload: Buffer.alloc(1372) };
    expect(shown(uplink(long))).toEqual(["redirect", "uplink-client to-pod"]);
    kernel.ip("link set pod mtu 1399");
    try {
      // A way is good for a tenth of a second.
      await new Promise((done) => setTimeout(done, 150));
      const found = uplink(long);
      expect(shown(found)).toEqual(["unspec", "uplink-client stack-no-route"]);
      expect(found.packet).toEqual(tunnelled(long, { from: GATEWAY, to: CLIENT }));
      expect(shown(uplink(answer))).toEqual(["redirect", "uplink-client to-pod"]);
    } finally {
      kernel.ip("link set pod mtu 1500");
    }
  });

  test.each<[string, Shape]>([
    ["udp", udp],
    ["tcp", { ...tcp, flags: ["ACK"], payload: Buffer.from("some payload of odd length!") }],
    ["an echo", { ...tcp, to: { ...OUTSIDE, port: 0 }, protocol: "icmp" }],
  ])("a packet of a flow leaves as the tunnel device would send it: %s", (_, shape) => {
    flow(shape);
    const found = fromPod(shape);
    expect([...shown(found), found.mark]).toEqual(["redirect", "from-pod to-tunnel", 0x14000000]);
    const expected = tunnelled({ ...shape, ttl: 63 }, { from: CLIENT, to: GATEWAY });
    expect(withoutChoices(found.packet)).toEqual(withoutChoices(expected));
    expect(wrongSums(found.packet)).toEqual([]);
    expect(found.packet.readUInt16BE(34)).toBeGreaterThanOrEqual(32768);
    // Fragments of two packets must not be taken for one's.
    expect(new Set([1, 2, 3, 4].map(() => fromPod(shape).packet.readUInt16BE(18))).size).toBeGreaterThan(1);
  });

  test.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 2],
    [0xb8, 0],
    [0xb9, 1],
  ])("congestion is told by the outer header as by the tunnel device: %i is %i", (tos, outer) => {
    flow(udp);
    const found = fromPod({ ...udp, tos });
    expect([found.packet[15], found.packet[ETHERNET + OUTER + 1]]).toEqual([outer, tos]);
  });

  test("what is too long to be whole, or has no way, goes by the tunnel device", () => {
    const data: Shape = { ...tcp, flags: ["ACK"] };
    for (const shape of [data, udp]) flow(shape);
    const long = (bytes: number) => ({ ...data, payload: Buffer.alloc(bytes) });
    expect(shown(fromPod(long(1450 - 40)))).toEqual(["redirect", "from-pod to-tunnel"]);
    expect(shown(fromPod(long(1450 - 39)))).toEqual(["redirect", "from-pod to-tunnel-device"]);
    for (const route of [`unreachable ${GATEWAY.address}`, `${GATEWAY.address} dev uplink mtu lock 1000`]) {
      kernel.ip(`route add ${route}`);
      const found = fromPod({ ...udp, payload: Buffer.alloc(1000) });
      kernel.ip(`route del ${route}`);
      expect(shown(found)).toEqual(["redirect", "from-pod to-tunnel-device"]);
      expect(ip(found)).toEqual(datagram({ ...udp, payload: Buffer.alloc(1000), ttl: 63 }));
    }
  });

  test.each<[string, Shape, Shape]>([
    ["udp", udp, answer],
    ["tcp", tcp, { ...answer, protocol: "tcp", flags: ["ACK"] }],
    ["an error", udp, { from: OUTSIDE, to: POD, protocol: "icmp", icmpType: 3, quote: datagram(udp) }],
  ])("an answer out of the tunnel goes to its pod: %s", (_, shape, back) => {
    flow(shape);
    const found = uplink(back);
    expect(shown(found)).toEqual(["redirect", "uplink-client to-pod"]);
    expect(ip(found)).toEqual(datagram({ ...back, ttl: 63 }));
  });

  test("a SYN-ACK names no longer segments than the tunnel takes", () => {
    flow(tcp);
    const back: Shape = { from: OUTSIDE, to: POD, protocol: "tcp", flags: ["SYN", "ACK"] };
    const found = uplink({ ...back, tcpOptions: Buffer.from([2, 4, 0x05, 0xb4]) });
    expect(ip(found)).toEqual(datagram({ ...back, ttl: 63, tcpOptions: Buffer.from([2, 4, 0x05, 0x82]) }));
  });

  test.each<[string, Partial<Tunnel>, Partial<Shape>]>([
    ["is of another port", { port: 4789 }, {}],
    ["is of another network", { vni: 4098 }, {}],
    ["is for another node", { to: { ...CLIENT, address: "10.9.0.12" } }, {}],
    ["is for another device", { device: GATEWAY.mac }, {}],
    ["is a first fragment", { ip: { 6: 0x20 } }, {}],
    ["is a last fragment", { ip: { 7: 0x10 } }, {}],
    ["is no UDP", { ip: { 9: 6 } }, {}],
    ["has options", { ip: { 0: 0x46 } }, {}],
    ["has met congestion", { ip: { 1: 3 } }, {}],
    ["has a checksum", { checksum: 0x1234 }, {}],
    ["has no network", { flags: 0 }, {}],
    ["is no IPv4 inside", { inner: 0x86dd }, {}],
    ["is a fragment inside", {}, { fragment: 0x2000 }],
    ["says inside by whom it goes", {}, { ipOptions: SOURCE_ROUTES[0] }],
    ["is at its last hop inside", {}, { ttl: 1 }],
  ])("what %s is left to the device as it is", (_, change, shape) => {
    flow(udp);
    const found = uplink({ ...answer, ...shape }, change);
    expect(shown(found)).toEqual(["unspec"]);
    expect(found.packet).toEqual(tunnelled({ ...answer, ...shape }, { from: GATEWAY, to: CLIENT, ...change }));
  });

  test("so is what is no answer, not from its flow's gateway, or of a flow whose pod the stack serves", () => {
    flow(udp, { ifindex: 0 });
    expect(shown(uplink(answer))).toEqual(["unspec", "uplink-client stack-one-way"]);
    programs.remove("egw_flows", programs.entries("egw_flows")[0]?.key ?? Buffer.alloc(0));
    expect(shown(uplink(answer))).toEqual(["unspec", "uplink-client stack-unknown-flow"]);
    flow(udp, { gateway: "10.9.0.102" });
    const found = uplink(answer);
    expect(shown(found)).toEqual(["unspec", "uplink-client stack-unknown-flow"]);
    expect(found.packet).toEqual(tunnelled(answer, { from: GATEWAY, to: CLIENT }));
  });
});

describe("on a gateway node", () => {
  beforeEach(() => {
    load("gateway", GATEWAY);
    programs.set("egw_fleet", write("address", CLIENT.address), write("u32", 1));
    programs.set("egw_egress_ips", write("address", EGRESS), write("u32", 1));
  });
  const uplink = (shape: Shape, change: Partial<Tunnel> = {}, size = 0) =>
    programs.run("uplink_gateway", tunnelled(shape, { from: CLIENT, to: GATEWAY, ...change }), { size });
  const OUT = ["redirect", "uplink-gateway to-outside"];

  test.each<[string, Shape, Shape]>([
    ["udp", udp, answer],
    ["tcp", tcp, { ...answer, protocol: "tcp", flags: ["SYN", "ACK"] }],
    [
      "an echo",
      { ...tcp, to: { ...OUTSIDE, port: 0 }, protocol: "icmp" },
      { from: { ...OUTSIDE, port: 0 }, to: POD, protocol: "icmp", icmpType: 0 },
    ],
  ])("%s out of the tunnel leaves with the egress IP, and its answer goes into the tunnel", (_, call, back) => {
    const left = uplink(call);
    expect([...shown(left), left.mark]).toEqual([...OUT, 0x14000000]);
    expect(ip(left)).toEqual(datagram({ ...call, from: at(POD.port), ttl: 63 }));
    const [entry] = programs.entries("egw_nat_out");
    const nat = decode("egw_nat", entry?.value ?? Buffer.alloc(32));
    expect(nat).toMatchObject({ egress_ip: EGRESS, client: CLIENT.address, client_mac: CLIENT.mac, port: POD.port });
    const found = programs.run("from_outside", frame({ ...back, to: at(POD.port) }), { device: "uplink" });
    expect(shown(found)).toEqual(["redirect", "from-outside to-tunnel"]);
    const expected = tunnelled({ ...back, ttl: 63 }, { from: GATEWAY, to: CLIENT });
    expect(withoutChoices(found.packet)).toEqual(withoutChoices(expected));
    expect(wrongSums(found.packet)).toEqual([]);
  });

  test.each<[string, Partial<Tunnel>, Partial<Shape>, string[]]>([
    ["from a node that is none of the fleet", { from: { ...CLIENT, address: "10.9.0.12" } }, {}, []],
    ["of another network", { vni: 4098 }, {}, []],
    ["of a pod that no policy selects", {}, { from: { ...POD, address: "10.0.1.99" } }, ["not-selected"]],
    ["mid-flow", {}, { protocol: "tcp", flags: ["ACK"] }, ["stack-mid-flow"]],
    ["that is a fragment inside", {}, { fragment: 0x2000 }, []],
    ["at its last hop", {}, { ttl: 1 }, []],
  ])("a frame %s is left to the device as it is", (_, change, shape, counted) => {
    const found = uplink({ ...udp, ...shape }, change);
    expect(shown(found)).toEqual(["unspec", ...counted.map((verdict) => `uplink-gateway ${verdict}`)]);
    expect(found.packet).toEqual(tunnelled({ ...udp, ...shape }, { from: CLIENT, to: GATEWAY, ...change }));
    expect(programs.entries("egw_nat_out")).toEqual([]);
  });

  test("an aggregate is left to the device, which takes the tunnel's bits off it", () => {
    // It would not even be decapsulated; but before that it would have a port.
    expect(shown(uplink(udp, {}, 1000))).toEqual(["unspec", "uplink-gateway stack-too-big"]);
    expect(programs.entries("egw_nat_out")).toEqual([]);
    expect(shown(uplink(udp))).toEqual(OUT);
  });

  test("without its egress IP on the node nothing leaves", () => {
    kernel.ip(`addr del ${EGRESS}/32 dev uplink`);
    const found = uplink(udp);
    kernel.ip(`addr add ${EGRESS}/32 dev uplink`);
    expect(shown(found)).toEqual(["shot", "uplink-gateway drop-no-egress-ip"]);
  });

  test("a tunnel's frame is none of the answers from outside", () => {
    const found = programs.run("from_outside", tunnelled(udp, { from: CLIENT, to: GATEWAY }));
    expect(shown(found)).toEqual(["unspec", "from-outside stack-unknown-flow"]);
  });
});
