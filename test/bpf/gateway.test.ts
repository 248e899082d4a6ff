import { decode, encode, type Values, write } from "../../provider/kernel/bpf-layout";
import { ago, Kernel, type Outcome, type Programs } from "./kernel";
import {
  datagram,
  type End,
  frame,
  NOTHING,
  RECORDS,
  type Shape,
  SOURCE_ROUTES,
  UNREADABLE,
  wrongSums,
} from "./packet";

const POD: End = { address: "10.0.1.11", port: 40000 };
const OUTSIDE: End = { address: "203.0.113.9", port: 443 };
const EGRESS = "192.0.2.1";
const CLIENT_MAC = "66:26:00:00:00:0b";
const OWN = "192.168.0.101";
const OWN_MAC = "66:26:00:00:00:65";
/** As `test/bpf/from-client-1.bpf.c` has it. */
const CLIENT = "192.168.0.11";

/** As ports are given by default to what can't keep its own one. */
const ANY_PORT: readonly number[] = [32768, 65535];

let kernel: Kernel;
let programs: Programs;

beforeAll(() => {
  kernel = Kernel.start();
  kernel.ip(`addr add ${EGRESS}/32 dev uplink`);
});
afterAll(() => kernel.stop());

const load = (ports = ANY_PORT, shapes: Parameters<Kernel["load"]>[2] = {}): void => {
  const [first = 0, last = 0] = ports;
  const port = (value: number) => write("port", value).swap16();
  programs = kernel.load(
    "../test/bpf/from-client-1.bpf.c",
    {
      tunnel_ifindex: write("u32", 2),
      tunnel_mac: write("mac", OWN_MAC),
      uplink_ifindex: write("u32", kernel.indexOf("uplink")),
      node_address: write("address", OWN),
      first_port: port(first),
      last_port: port(last),
    },
    shapes,
  );
  for (const source of ["10.0.1.11", "10.0.1.12", "10.0.1.13"])
    programs.set(
      "egw_policies",
      encode("egw_policy_key", { prefix_length: 56, source, destination: "203.0.113.0" }),
      encode("egw_policy", { egress_ip: EGRESS, gateway: OWN }),
    );
  programs.set("egw_egress_ips", write("address", EGRESS), write("u32", 1));
};
beforeEach(() => load());

const shown = ({ action, counted }: Outcome) => [action, ...counted];
const macs = { from: CLIENT_MAC, to: OWN_MAC };
const fromClient = (shape: Shape) => programs.run("from_client_1", frame({ macs, ...shape }));
const fromOutside = (shape: Shape) => programs.run("from_outside", frame(shape));
const OUT = ["redirect", "from-client to-outside"];
const BACK = ["redirect", "from-outside to-tunnel-device"];
const at = (port: number): End => ({ address: EGRESS, port });
/** Without the Ethernet header, which the neighbour gives it. */
const ip = ({ packet }: Outcome) => packet.subarray(14);

const CALLS: readonly [string, Shape, Shape][] = [
  [
    "tcp",
    { from: POD, to: OUTSIDE, protocol: "tcp" },
    { from: OUTSIDE, to: POD, protocol: "tcp", flags: ["SYN", "ACK"] },
  ],
  ["udp", { from: POD, to: OUTSIDE, protocol: "udp" }, { from: OUTSIDE, to: POD, protocol: "udp" }],
  [
    "udp without a checksum",
    { from: POD, to: OUTSIDE, protocol: "udp", noChecksum: true },
    { from: OUTSIDE, to: POD, protocol: "udp", noChecksum: true },
  ],
  [
    "an echo",
    { from: POD, to: { ...OUTSIDE, port: 0 }, protocol: "icmp" },
    { from: { ...OUTSIDE, port: 0 }, to: POD, protocol: "icmp", icmpType: 0 },
  ],
];

test.each(CALLS)(
  "%s leaves with the egress IP and its own port, and its answer comes back to the pod",
  (_, call, answer) => {
    const payload = Buffer.from("some payload of odd length!");
    const left = fromClient({ ...call, payload });
    expect(shown(left)).toEqual(OUT);
    expect(ip(left)).toEqual(datagram({ ...call, payload, from: at(POD.port), ttl: 63 }));
    const back = fromOutside({ ...answer, payload, to: at(POD.port) });
    expect(shown(back)).toEqual(BACK);
    expect(back.packet).toEqual(frame({ ...answer, payload, ttl: 63, macs: { from: OWN_MAC, to: CLIENT_MAC } }));
    const [entry] = programs.entries("egw_nat_out");
    expect(decode("egw_nat", entry?.value ?? Buffer.alloc(32))).toMatchObject({
      egress_ip: EGRESS,
      client: CLIENT,
      port: POD.port,
      state: 1,
      client_mac: CLIENT_MAC,
    });
  },
);

const syn: Shape = { from: POD, to: OUTSIDE, protocol: "tcp" };
const from = (address: string): Shape => ({ ...syn, from: { ...POD, address } });
const portOf = (outcome: Outcome) => outcome.packet.readUInt16BE(34);

test("one whose port is taken gets another one, and each its own answers", () => {
  expect(portOf(fromClient(syn))).toBe(POD.port);
  const other = fromClient(from("10.0.1.12"));
  expect(portOf(other)).not.toBe(POD.port);
  expect(portOf(other)).toBeGreaterThanOrEqual(32768);
  expect(wrongSums(other.packet)).toEqual([]);
  expect(portOf(fromClient(from("10.0.1.12")))).toBe(portOf(other));
  for (const [port, pod] of [
    [POD.port, "10.0.1.11"],
    [portOf(other), "10.0.1.12"],
  ] as const) {
    const back = fromOutside({ from: OUTSIDE, to: at(port), protocol: "tcp", flags: ["SYN", "ACK"] });
    expect([...back.packet.subarray(30, 34)].join(".")).toBe(pod);
    expect(back.packet.readUInt16BE(36)).toBe(POD.port);
    expect(wrongSums(back.packet)).toEqual([]);
  }
  // Towards another remote the port is free.
  expect(portOf(fromClient({ ...from("10.0.1.12"), to: { ...OUTSIDE, port: 80 } }))).toBe(POD.port);
});

const ANSWERED = [NOTHING, ...RECORDS].flatMap((ipOptions) => CALLS.map((one) => [...one, ipOptions] as const));

test.each(ANSWERED)(
  "%s with options is translated behind them, both ways, and so are errors",
  (_, call, answer, ipOptions) => {
    const rest = { ipOptions, payload: Buffer.from("some payload of odd length!") };
    // Another pod has the port, so that it is translated too.
    fromClient({ ...call, from: { ...POD, address: "10.0.1.12" } });
    const left = fromClient({ ...call, ...rest });
    expect(shown(left)).toEqual(OUT);
    const [port] = nats().flatMap((nat) => (nat.port === POD.port ? [] : [nat.port]));
    const from = at(port ?? 0);
    expect(ip(left)).toEqual(datagram({ ...call, ...rest, from, ttl: 63 }));
    const back = fromOutside({ ...answer, ...rest, to: from });
    expect(shown(back)).toEqual(BACK);
    expect(ip(back)).toEqual(datagram({ ...answer, ...rest, ttl: 63 }));

    const quote = datagram({ ...call, from });
    const router: End = { address: "198.51.100.1", port: 0 };
    const error: Shape = { from: router, to: at(0), protocol: "icmp", icmpType: 3, ipOptions, quote };
    const told = fromOutside(error);
    expect(shown(told)).toEqual(BACK);
    const its = datagram(call);
    // The checksum of TCP lies behind what an error has to quote, and is left as it was.
    if (call.protocol === "tcp") quote.copy(its, 36, 36, 38);
    expect(ip(told)).toEqual(datagram({ ...error, to: { ...POD, port: 0 }, quote: its, ttl: 63 }));
  },
);

test("what says by whom it goes is the stack's from outside too, as is what has a protocol without ports", () => {
  fromClient(syn);
  const answer: Shape = { from: OUTSIDE, to: at(POD.port), protocol: "tcp", flags: ["SYN", "ACK"] };
  const before = nats();
  for (const ipOptions of [...SOURCE_ROUTES, ...UNREADABLE]) {
    const { packet, ...outcome } = fromOutside({ ...answer, ipOptions });
    expect(shown({ packet, ...outcome })).toEqual(["unspec", "from-outside stack-options"]);
    expect(packet).toEqual(frame({ ...answer, ipOptions }));
  }
  // The pod's connection has got nothing.
  expect(nats()).toEqual(before);
  expect(shown(fromOutside({ ...answer, protocol: "gre" }))).toEqual(["unspec", "from-outside stack-protocol"]);
  // Behind the end of options is nothing; and any byte may be one.
  expect(shown(fromOutside({ ...answer, ipOptions: Buffer.from([0, 9, 0, 0]) }))).toEqual(BACK);
  for (const most of [
    [...Array<number>(39).fill(1), 137],
    [7, 7, 8, 10, 0, 0, 1, ...Array<number>(32).fill(1), 131],
  ])
    expect(shown(fromOutside({ ...answer, ipOptions: Buffer.from(most) }))).toEqual([
      "unspec",
      "from-outside stack-options",
    ]);
  expect(shown(fromOutside({ ...answer, ipOptions: Buffer.alloc(40, 1), payload: Buffer.from([131, 137]) }))).toEqual(
    BACK,
  );
});

test("where no port is free it is dropped, never sent as it is", () => {
  load([50000, 50000]);
  expect([syn, from("10.0.1.12")].map((shape) => portOf(fromClient(shape)))).toEqual([POD.port, 50000]);
  expect(shown(fromClient(from("10.0.1.13")))).toEqual(["shot", "from-client drop-no-port"]);
  expect(programs.entries("egw_nat_out")).toHaveLength(2);
});

test.each(["egw_nat_out", "egw_nat_in"])("what %s has no room for is dropped, and holds no port", (map) => {
  load(ANY_PORT, { [map]: { type: "hash", entries: 1 } });
  expect(shown(fromClient(syn))).toEqual(OUT);
  const ports = () => ["egw_nat_out", "egw_nat_in"].map((one) => programs.entries(one));
  const before = ports();
  expect(shown(fromClient(from("10.0.1.12")))).toEqual(["shot", "from-client drop-map-full"]);
  // By a port that nobody has, too.
  expect(shown(fromClient({ ...syn, from: { ...POD, port: 40001 } }))).toEqual(["shot", "from-client drop-map-full"]);
  expect(ports()).toEqual(before);
});

test("a port whose owner is long silent is free again", () => {
  load([50000, 50000]);
  for (const shape of [syn, from("10.0.1.12")]) fromClient(shape);
  const [owner] = programs.entries("egw_nat_out").filter(({ key }) => decode("egw_tuple", key).source === "10.0.1.12");
  if (!owner) throw new Error("no entry");
  programs.set("egw_nat_out", owner.key, encode("egw_nat", { ...decode("egw_nat", owner.value), seen: 0n, state: 8 }));
  expect(portOf(fromClient(from("10.0.1.13")))).toBe(50000);
  // Of two CPUs the one that has taken this away has the port.
  const sources = programs.entries("egw_nat_out").map(({ key }) => decode("egw_tuple", key).source);
  expect(sources.sort()).toEqual(["10.0.1.11", "10.0.1.13"]);
});

test("a port whose owner has another one by now is free, and its owner keeps that", () => {
  fromClient(from("10.0.1.12"));
  const [entry] = programs.entries("egw_nat_in");
  if (!entry) throw new Error("no entry");
  const answers = { ...decode("egw_tuple", entry.key), destination_port: 40001 };
  programs.set("egw_nat_in", encode("egw_tuple", answers), entry.value);
  const other: Shape = { ...syn, from: { ...POD, port: 40001 } };
  expect(portOf(fromClient(other))).toBe(40001);
  expect(shown(fromClient({ ...from("10.0.1.12"), flags: ["ACK"] }))).toEqual(OUT);
  // Another egress IP is as good.
  load();
  fromClient(from("10.0.1.12"));
  changeNat({ egress_ip: "192.0.2.7" }, "10.0.1.12");
  expect(portOf(fromClient(syn))).toBe(POD.port);
});

describe("datagrams", () => {
  const datagrams: Shape = { from: POD, to: OUTSIDE, protocol: "udp" };
  const answers: Shape = { from: OUTSIDE, to: at(POD.port), protocol: "udp" };
  const silentFor = (seconds: number): void => changeNat({ seen: ago(seconds) });
  const isKept = () => portOf(fromClient({ ...datagrams, from: { ...POD, address: "10.0.1.12" } })) !== POD.port;

  test.each([
    ["asked once", [], 0, 30],
    ["that are an exchange", ["in"], 1, 30],
    ["that are many at once", ["in", "out", "in", "out"], 1, 30],
    ["that go on unanswered", ["later", "out"], 16, 30],
    ["that go on", ["in", "later", "out"], 17, 120],
    ["whose answers go on", ["in", "later", "in"], 17, 120],
    ["answered late", ["later", "in"], 17, 120],
  ])("%s keep their port as long as conntrack would", (_, packets, state, seconds) => {
    for (const silent of [seconds - 3, seconds + 3]) {
      load();
      fromClient(datagrams);
      for (const packet of packets) {
        if (packet === "later") silentFor(2);
        else if (packet === "in") fromOutside(answers);
        else fromClient(datagrams);
      }
      expect(nats().map((nat) => nat.state)).toEqual([state]);
      silentFor(silent);
      expect(isKept()).toBe(silent < seconds);
    }
  });
});

test("a translation whose answers nobody finds any more is found by them again, unless its port is another one's", () => {
  const udp: Shape = { from: POD, to: OUTSIDE, protocol: "udp" };
  const ask = (): number => {
    changeNat({ seen: ago(2) });
    return portOf(fromClient(udp));
  };
  expect(portOf(fromClient(udp))).toBe(POD.port);
  const [answers] = programs.entries("egw_nat_in");
  if (!answers) throw new Error("no entry");
  programs.remove("egw_nat_in", answers.key);
  expect(ask()).toBe(POD.port);
  expect(programs.entries("egw_nat_in")).toEqual([answers]);
  const other = encode("egw_tuple", { ...decode("egw_tuple", answers.value), source: "10.0.1.12" });
  programs.set("egw_nat_in", answers.key, other);
  const port = ask();
  expect(port).not.toBe(POD.port);
  expect(ask()).toBe(port);
  expect(programs.entries("egw_nat_in")).toHaveLength(2);
});

test("where most ports are taken, side by side, one that is free is found", () => {
  load([50000, 50098]);
  const [pod, remote] = ["10.0.1.12", OUTSIDE];
  for (let port = 50000; port < 50060; port++) {
    const answer = { source: remote.address, destination: EGRESS, source_port: remote.port, destination_port: port };
    const owner = { source: pod, destination: remote.address, source_port: port, destination_port: remote.port };
    programs.set(
      "egw_nat_in",
      encode("egw_tuple", { ...answer, protocol: 6 }),
      encode("egw_tuple", { ...owner, protocol: 6 }),
    );
  }
  for (let port = 50000; port < 50020; port++)
    expect(shown(fromClient({ ...syn, from: { ...POD, port } }))).toEqual(OUT);
  const ports = nats().map((nat) => nat.port);
  expect(new Set(ports).size).toBe(20);
  expect(ports.filter((port) => port < 50060 || port > 50098)).toEqual([]);
});

test("a translation is alive though another CPU has seen a packet of it a moment later", () => {
  fromClient(syn);
  const [entry] = programs.entries("egw_nat_out");
  if (!entry) throw new Error("no entry");
  const seen = decode("egw_nat", entry.value).seen + 3_600_000_000_000n;
  programs.set("egw_nat_out", entry.key, encode("egw_nat", { ...decode("egw_nat", entry.value), seen }));
  const answer: Shape = { from: OUTSIDE, to: at(POD.port), protocol: "tcp", flags: ["SYN", "ACK"] };
  expect(shown(fromOutside(answer))).toEqual(BACK);
});

test.each<[string, Partial<Shape>, string[]]>([
  ["of another pod", { from: { ...POD, address: "10.0.1.99" } }, ["unspec", "from-client not-selected"]],
  ["mid-flow, of a connection that is not known", { flags: ["ACK"] }, ["unspec", "from-client stack-mid-flow"]],
  ["that is a fragment behind no first one", { fragment: 0x0010 }, ["unspec", "from-client stack-fragment"]],
  ["of another protocol", { protocol: "gre" }, ["unspec", "from-client stack-protocol"]],
  ...[...SOURCE_ROUTES, ...UNREADABLE].map((ipOptions): [string, Partial<Shape>, string[]] => [
    `that may say by whom it goes: ${ipOptions.join(" ")}`,
    { ipOptions, payload: Buffer.alloc(64) },
    ["unspec", "from-client stack-options"],
  ]),
])("a packet out of the tunnel %s is left to the stack", (_, change, outcome) => {
  const shape = { ...syn, ...change };
  const found = fromClient(shape);
  expect(shown(found)).toEqual(outcome);
  expect(ip(found)).toEqual(datagram(shape));
});

test("without its egress IP on the node nothing leaves", () => {
  kernel.ip(`addr del ${EGRESS}/32 dev uplink`);
  const outcomes = [syn, { ...syn, fragment: 0x2000 }].map((shape) => shown(fromClient(shape)));
  kernel.ip(`addr add ${EGRESS}/32 dev uplink`);
  for (const outcome of outcomes) expect(outcome).toEqual(["shot", "from-client drop-no-egress-ip"]);
  expect(programs.entries("egw_nat_out")).toEqual([]);
});

test("what another gateway is for is left to the stack, and so is what has none", () => {
  for (const gateway of ["192.168.0.102", "0.0.0.0", "0.0.0.1"]) {
    const key = encode("egw_policy_key", { prefix_length: 56, source: POD.address, destination: "203.0.113.0" });
    programs.set("egw_policies", key, encode("egw_policy", { egress_ip: EGRESS, gateway }));
    expect(shown(fromClient(syn))).toEqual(["unspec", "from-client not-selected"]);
  }
});

test("what leads out by another device, or nowhere, is left to the stack as it is", () => {
  for (const route of ["203.0.113.9/32 dev pod", "unreachable 203.0.113.9/32"]) {
    kernel.ip(`route add ${route}`);
    const found = [fromClient(syn), fromClient({ ...syn, fragment: 0x2000 })];
    kernel.ip(`route del ${route}`);
    for (const one of found) expect(shown(one)).toEqual(["unspec", "from-client stack-no-route"]);
    expect(ip(found[0] as Outcome)).toEqual(datagram(syn));
  }
  expect(programs.entries("egw_nat_out")).toEqual([]);
});

test("what comes out of no tunnel begins nothing", () => {
  expect(shown(programs.run("from_client", frame(syn)))).toEqual(["shot", "from-client drop-not-admitted"]);
});

test("what comes from outside without a translation is left to the stack", () => {
  fromClient(syn);
  for (const to of [at(POD.port + 1), { address: "192.0.2.2", port: POD.port }])
    expect(shown(fromOutside({ from: OUTSIDE, to, protocol: "tcp", flags: ["ACK"] }))).toEqual([
      "unspec",
      "from-outside stack-unknown-flow",
    ]);
});

test.each(CALLS)("an ICMP error from outside about %s reaches the pod with what it quotes", (_, call) => {
  // Another pod has the port, so that it is translated too.
  fromClient({ ...call, from: { ...POD, address: "10.0.1.12" } });
  const left = fromClient(call);
  const router: End = { address: "198.51.100.1", port: 0 };
  const error: Shape = { from: router, to: at(0), protocol: "icmp", icmpType: 11, quote: ip(left) };
  const back = fromOutside(error);
  expect(shown(back)).toEqual(BACK);
  // It is no answer, after which conntrack would keep it for longer.
  expect(nats().map(({ state }) => state)).toEqual([0, 0]);
  const quote = datagram({ ...call, ttl: 63 });
  // The checksum of TCP lies behind what an error has to quote, and is left as it was.
  if (call.protocol === "tcp") ip(left).copy(quote, 36, 36, 38);
  const to = { ...POD, port: 0 };
  expect(back.packet).toEqual(frame({ ...error, to, quote, ttl: 63, macs: { from: OWN_MAC, to: CLIENT_MAC } }));
});

test("an ICMP error goes to nobody but whom it is for", () => {
  fromClient(syn);
  const elsewhere = { address: "198.51.100.77", port: 0 };
  const quote = datagram({ from: OUTSIDE, to: POD, protocol: "tcp" });
  const error: Shape = { from: POD, to: elsewhere, protocol: "icmp", icmpType: 3, quote };
  expect(shown(fromClient(error))).toEqual(["unspec", "from-client stack-protocol"]);
});

test("an ICMP error of the pod about an answer leaves with the egress IP", () => {
  const udp: Shape = { from: POD, to: OUTSIDE, protocol: "udp" };
  fromClient(udp);
  const answer = (to: End) => datagram({ from: OUTSIDE, to, protocol: "udp" });
  const error: Shape = { from: POD, to: OUTSIDE, protocol: "icmp", icmpType: 3, quote: answer(POD) };
  const left = fromClient(error);
  expect(shown(left)).toEqual(OUT);
  expect(ip(left)).toEqual(datagram({ ...error, from: at(0), quote: answer(at(POD.port)), ttl: 63 }));
});

test("what is at its last hop is left to the stack", () => {
  expect(shown(fromClient({ ...syn, ttl: 1 }))).toEqual(["unspec", "from-client stack-ttl"]);
  fromClient(syn);
  const answer: Shape = { from: OUTSIDE, to: at(POD.port), protocol: "tcp", flags: ["ACK"] };
  expect(shown(fromOutside({ ...answer, ttl: 1 }))).toEqual(["unspec", "from-outside stack-ttl"]);
});

test.each<[string, number[], number[]]>([
  ["first", [2, 4, 0x05, 0xb4, 1, 1, 4, 2], [2, 4, 0x05, 0x82, 1, 1, 4, 2]],
  ["behind others, at an odd place", [1, 4, 2, 2, 4, 0x05, 0xb4, 1], [1, 4, 2, 2, 4, 0x05, 0x82, 1]],
  ["small enough", [2, 4, 0x02, 0x18, 1, 1, 1, 1], [2, 4, 0x02, 0x18, 1, 1, 1, 1]],
  ["of no length", [8, 0, 2, 4, 0x05, 0xb4, 1, 1], [8, 0, 2, 4, 0x05, 0xb4, 1, 1]],
  ["behind the end", [0, 0, 2, 4, 0x05, 0xb4, 1, 1], [0, 0, 2, 4, 0x05, 0xb4, 1, 1]],
  ["none, but what its data begin with", [1, 1, 1, 1], [1, 1, 1, 1]],
  ["half of one, before its data", [1, 1, 2, 4], [1, 1, 2, 4]],
])("a SYN names no longer segments than the tunnel takes: an option that is %s", (_, before, after) => {
  const data: Shape = { ...syn, payload: Buffer.from([2, 4, 0xff, 0xff]) };
  const found = fromClient({ ...data, tcpOptions: Buffer.from(before) });
  expect(ip(found)).toEqual(datagram({ ...data, from: at(POD.port), ttl: 63, tcpOptions: Buffer.from(after) }));
  const behind: Shape = { ...data, ipOptions: NOTHING, from: { ...POD, port: 40001 } };
  const shown = fromClient({ ...behind, tcpOptions: Buffer.from(before) });
  expect(ip(shown)).toEqual(datagram({ ...behind, from: at(40001), ttl: 63, tcpOptions: Buffer.from(after) }));
});

test("a translation is kept alive by either way, a stream's too", () => {
  const udp: Shape = { from: POD, to: OUTSIDE, protocol: "udp" };
  const answer: Shape = { from: OUTSIDE, to: at(POD.port), protocol: "udp" };
  const silent = (): number => Number(ago(0) - (nats()[0]?.seen ?? 0n)) / 1e9;
  fromClient(udp);
  for (const send of [() => fromClient(udp), () => fromOutside(answer)]) {
    changeNat({ seen: ago(20), state: 1 + 16 });
    expect(silent()).toBeGreaterThan(19);
    send();
    expect(silent()).toBeLessThan(10);
  }
});

test("answers go to the node by which their pod sends by now", () => {
  fromClient(syn);
  changeNat({ client: "192.168.0.12", client_mac: "66:26:00:00:00:0c" });
  fromClient({ ...syn, flags: ["ACK"] });
  expect(nats()).toMatchObject([{ client: CLIENT, client_mac: CLIENT_MAC, port: POD.port }]);
});

test("a SYN by the ports of a connection that has ended, or half, begins anew", () => {
  for (const flags of [["SYN"], ["FIN", "ACK"], ["RST"], ["SYN"], ["FIN", "ACK"], ["SYN"]] as const) {
    fromClient({ ...syn, flags });
    if (flags[0] === "SYN") expect(nats().map(({ state }) => state)).toEqual([0]);
  }
});

test.each<[string, NonNullable<Shape["flags"]>, readonly ("pod" | "outside")[], string]>([
  ["by a reset", ["RST"], ["outside"], "192.0.2.7"],
  ["on both sides", ["FIN", "ACK"], ["pod", "outside"], "192.0.2.7"],
  ["on the pod's side", ["FIN", "ACK"], ["pod"], EGRESS],
  ["on the other side", ["FIN", "ACK"], ["outside"], EGRESS],
  ["not at all", [], [], EGRESS],
])(
  "a SYN by the ports of a connection that has ended is the policy's, with another egress IP too: ended %s",
  (_, flags, sides, egress) => {
    kernel.ip("addr add 192.0.2.7/32 dev uplink");
    fromClient(syn);
    for (const side of sides) {
      if (side === "pod") fromClient({ ...syn, flags });
      else fromOutside({ from: OUTSIDE, to: at(POD.port), protocol: "tcp", flags });
    }
    programs.set(
      "egw_policies",
      encode("egw_policy_key", { prefix_length: 56, source: POD.address, destination: "203.0.113.0" }),
      encode("egw_policy", { egress_ip: "192.0.2.7", gateway: OWN }),
    );
    fromClient(syn);
    kernel.ip("addr del 192.0.2.7/32 dev uplink");
    expect(nats().map(({ egress_ip }) => egress_ip)).toEqual([egress]);
    expect(programs.entries("egw_nat_in").map(({ key }) => decode("egw_tuple", key).destination)).toEqual([egress]);
  },
);

test("a port that another CPU is about to give away is not free", () => {
  const answers = {
    source: OUTSIDE.address,
    destination: EGRESS,
    source_port: OUTSIDE.port,
    destination_port: POD.port,
  };
  const other = {
    source: "10.0.1.12",
    destination: OUTSIDE.address,
    source_port: POD.port,
    destination_port: OUTSIDE.port,
  };
  const tuple = (values: typeof answers) => encode("egw_tuple", { ...values, protocol: 6 });
  programs.set("egw_nat_in", tuple(answers), tuple(other));
  expect(portOf(fromClient(syn))).not.toBe(POD.port);
});

test("where maps are full the connection that was silent the longest goes, and begins anew", () => {
  load(ANY_PORT, { egw_nat_out: { entries: 512 }, egw_nat_in: { entries: 512 } });
  fromClient(syn);
  programs.crowd("egw_nat_out", 2000);
  expect(programs.entries("egw_nat_out").length).toBeLessThanOrEqual(512);
  expect(shown(fromClient({ ...syn, flags: ["ACK"] }))).toEqual(["unspec", "from-client stack-mid-flow"]);
  const found = fromClient(syn);
  expect(shown(found)).toEqual(OUT);
  expect(portOf(found)).toBe(POD.port);
  expect(shown(fromClient({ ...syn, flags: ["ACK"] }))).toEqual(OUT);
});

test("a reset from outside ends a connection until its pod goes on", () => {
  fromClient(syn);
  fromOutside({ from: OUTSIDE, to: at(POD.port), protocol: "tcp", flags: ["RST"] });
  expect(nats()[0]?.state).toBe(1 + 8 + 32);
  fromClient({ ...syn, flags: ["ACK"] });
  expect(nats()[0]?.state).toBe(1);
  fromOutside({ from: OUTSIDE, to: at(POD.port), protocol: "tcp", flags: ["RST"] });
  expect(nats()[0]?.state).toBe(1 + 8);
  fromClient({ ...syn, flags: ["RST"] });
  expect(nats()[0]?.state).toBe(1 + 8 + 32);
});

test.each<[string, number, number]>([
  ["a reset by the pod, or of what only begins", 1 + 8 + 32, 10],
  ["a reset from outside, which may be forged", 1 + 8, 120],
  ["the pod's end, which waits for the other one", 1 + 2, 3600],
  ["the pod's end without an answer", 2, 120],
  ["the pod's end and a reset from outside", 1 + 2 + 8, 120],
  ["both ends", 1 + 2 + 4, 120],
  ["no answer", 0, 120],
  ["an answer", 1, 432_000],
])("a connection without packets has its port for as long as conntrack would keep it: %s", (_, state, seconds) => {
  for (const silent of [seconds - 3, seconds + 3]) {
    load();
    fromClient(syn);
    changeNat({ state, seen: ago(silent) });
    expect(portOf(fromClient(from("10.0.1.12"))) !== POD.port).toBe(silent < seconds);
  }
});

test("the other side's end alone shortens nothing: it may be forged", () => {
  fromClient(syn);
  changeNat({ state: 1 + 4, seen: ago(130) });
  expect(shown(fromClient({ ...syn, flags: ["ACK"] }))).toEqual(OUT);
});

test("ports that a connection had before are free", () => {
  load([50000, 50001]);
  const by = (address: string): Shape => ({ from: { ...POD, address }, to: OUTSIDE, protocol: "udp" });
  fromClient(by("10.0.1.12"));
  // One whose own port is taken, silent for too long each time: until it has had both.
  const ports = new Set<number>();
  for (let i = 0; i < 40 && ports.size < 2; i++) {
    ports.add(portOf(fromClient(by(POD.address))));
    if (ports.size < 2) changeNat({ seen: ago(33) });
  }
  expect(ports.size).toBe(2);
  expect(programs.entries("egw_nat_in")).toHaveLength(2);
  expect(shown(fromClient(by("10.0.1.13")))).toEqual(OUT);
});

test("a connection that begins anew takes nothing from whom its port went to meanwhile", () => {
  fromClient(syn);
  changeNat({ state: 1 + 2 + 4 });
  const [answers] = programs.entries("egw_nat_in");
  if (!answers) throw new Error("no entry");
  programs.remove("egw_nat_in", answers.key);
  expect(portOf(fromClient(from("10.0.1.12")))).toBe(POD.port);
  expect(portOf(fromClient(syn))).not.toBe(POD.port);
  const back = fromOutside({ from: OUTSIDE, to: at(POD.port), protocol: "tcp", flags: ["SYN", "ACK"] });
  expect([...back.packet.subarray(30, 34)].join(".")).toBe("10.0.1.12");
});

/** Of the translation of the pod, or of what the stack sends by the egress IP. */
function changeNat(change: Partial<Values<"egw_nat">>, source = POD.address): void {
  const found = programs.entries("egw_nat_out").find(({ key }) => decode("egw_tuple", key).source === source);
  if (!found) throw new Error("no entry");
  programs.set("egw_nat_out", found.key, encode("egw_nat", { ...decode("egw_nat", found.value), ...change }));
}
const nats = () => programs.entries("egw_nat_out").map(({ value }) => decode("egw_nat", value));
/** What leaves by the uplink. */
const toOutside = (shape: Shape, mark = 0) => programs.run("to_outside", frame(shape), { mark });
const PASSED = ["unspec", "to-outside to-outside"];
const DONE = 0x14000000;

describe("ports that the stack gives out", () => {
  test("are none of the programs' for as long as conntrack keeps them", () => {
    expect(shown(toOutside({ ...syn, from: at(POD.port) }))).toEqual(PASSED);
    expect(nats()).toMatchObject([{ egress_ip: EGRESS, client: "0.0.0.0", port: POD.port, state: 0 }]);
    expect(portOf(fromClient(syn))).not.toBe(POD.port);
    // Another remote, another port, and one that is silent for too long, are free.
    expect(portOf(fromClient({ ...syn, to: { ...OUTSIDE, port: 80 } }))).toBe(POD.port);
    expect(portOf(fromClient({ ...syn, from: { ...POD, port: 40001 } }))).toBe(40001);
    const [entry] = programs.entries("egw_nat_out").filter(({ key }) => decode("egw_tuple", key).source === EGRESS);
    if (!entry) throw new Error("no entry");
    programs.set(
      "egw_nat_out",
      entry.key,
      encode("egw_nat", { ...decode("egw_nat", entry.value), seen: 0n, state: 8 }),
    );
    expect(portOf(fromClient(from("10.0.1.12")))).toBe(POD.port);
  });

  test.each<[string, Shape, Shape]>([
    ["tcp", syn, { from: OUTSIDE, to: at(POD.port), protocol: "tcp", flags: ["SYN", "ACK"] }],
    ["udp", { ...syn, protocol: "udp" }, { from: OUTSIDE, to: at(POD.port), protocol: "udp" }],
    [
      "an echo",
      { ...syn, to: { ...OUTSIDE, port: 0 }, protocol: "icmp" },
      { from: { ...OUTSIDE, port: 0 }, to: at(POD.port), protocol: "icmp", icmpType: 0 },
    ],
  ])("answers to them are the stack's, and noted: %s", (_, shape, answer) => {
    toOutside({ ...shape, from: at(POD.port) });
    const found = fromOutside(answer);
    expect(shown(found)).toEqual(["unspec", "from-outside stack-unknown-flow"]);
    expect(found.packet).toEqual(frame(answer));
    expect(nats()).toMatchObject([{ state: 1 }]);
    fromOutside({ ...answer, fragment: 0x2000, flags: ["RST"] });
    expect(nats()).toMatchObject([{ state: shape.protocol === "tcp" ? 9 : 1 }]);
    expect(shown(toOutside({ ...shape, from: at(POD.port), flags: ["FIN", "ACK"] }))).toEqual(PASSED);
    expect(nats()).toMatchObject([{ state: shape.protocol === "tcp" ? 3 : 1 }]);
  });

  test("are known for as long, though entries for their answers were evicted", () => {
    const udp: Shape = { from: at(POD.port), to: OUTSIDE, protocol: "udp" };
    toOutside(udp);
    const [own] = programs.entries("egw_nat_out");
    const [answers] = programs.entries("egw_nat_in");
    if (!own || !answers) throw new Error("no entries");
    const later = () => changeNat({ seen: ago(2) }, EGRESS);
    programs.remove("egw_nat_in", answers.key);
    later();
    toOutside(udp);
    expect(portOf(fromClient({ ...udp, from: POD }))).not.toBe(POD.port);
    // Where a pod's connection has got it all the same, the stack's is the one that gets another.
    const tuple = { ...decode("egw_tuple", own.key), source: "10.0.1.12" };
    programs.set("egw_nat_in", answers.key, encode("egw_tuple", tuple));
    later();
    expect(portOf(toOutside(udp))).not.toBe(POD.port);
  });

  test("are known for a second longer: what was seen last may lag by as much", () => {
    const udp: Shape = { from: at(POD.port), to: OUTSIDE, protocol: "udp" };
    for (const [silent, isKept] of [
      [30.3, true],
      [31.5, false],
    ] as const) {
      load();
      toOutside(udp);
      changeNat({ seen: ago(silent) }, EGRESS);
      expect(portOf(fromClient({ ...udp, from: POD })) !== POD.port).toBe(isKept);
    }
  });

  test("are none for what the node itself answers to whoever asks", () => {
    for (const flags of [
      ["SYN", "ACK"],
      ["RST", "ACK"],
    ] as const)
      expect(shown(toOutside({ ...syn, from: at(80), flags }))).toEqual(PASSED);
    toOutside({ from: at(0), to: { ...OUTSIDE, port: 7 }, protocol: "icmp", icmpType: 0 });
    expect(nats()).toEqual([]);
    fromClient({ ...syn, from: { ...POD, port: 80 } });
    for (const ipOptions of [undefined, NOTHING, SOURCE_ROUTES[0]])
      expect(shown(toOutside({ ...syn, from: at(80), flags: ["RST"], ipOptions }))).toEqual([
        "shot",
        "to-outside drop-port-taken",
      ]);
  });

  test("are read of the first of fragments and behind options", () => {
    const changes = [{ fragment: 0x2000 }, { ipOptions: NOTHING }, { ipOptions: SOURCE_ROUTES[0] }];
    for (const [i, change] of changes.entries()) {
      const port = POD.port + i;
      expect(shown(toOutside({ ...syn, ...change, from: at(port) }))).toEqual(PASSED);
      expect(nats().map((nat) => nat.port)).toContain(port);
      expect(portOf(fromClient({ ...syn, from: { ...POD, port } }))).not.toBe(port);
    }
  });

  test("that a pod's connection has are given another one on the way out, and theirs again on the way back", () => {
    fromClient(syn);
    for (const shape of [
      syn,
      { ...syn, fragment: 0x2000 },
      { ...syn, ipOptions: NOTHING },
      { ...syn, ipOptions: SOURCE_ROUTES[1] },
    ]) {
      const found = toOutside({ ...shape, from: at(POD.port) });
      expect(shown(found)).toEqual(PASSED);
      const port = found.packet.readUInt16BE(34 + (shape.ipOptions?.length ?? 0));
      expect(port).not.toBe(POD.port);
      expect(found.packet).toEqual(frame({ ...shape, from: at(port) }));
      const answer: Shape = { from: OUTSIDE, to: at(port), protocol: "tcp", flags: ["SYN", "ACK"] };
      for (const [ipOptions, verdict] of [
        [undefined, "stack-unknown-flow"],
        [NOTHING, "stack-unknown-flow"],
        [SOURCE_ROUTES[0], "stack-options"],
      ] as const) {
        const back = fromOutside({ ...answer, ipOptions });
        expect(shown(back)).toEqual(["unspec", `from-outside ${verdict}`]);
        expect(back.packet).toEqual(frame({ ...answer, ipOptions, to: at(POD.port) }));
      }
      // The pod's own answers are not touched by that.
      expect(shown(fromOutside({ ...answer, to: at(POD.port) }))).toEqual(BACK);
    }
    const quoted = { from: { ...OUTSIDE, port: 0 }, protocol: "icmp", icmpType: 3 } as const;
    const [taken] = nats().filter(({ client }) => client === "0.0.0.0");
    const error = fromOutside({ ...quoted, to: at(0), quote: datagram({ ...syn, from: at(taken?.port ?? 0) }) });
    expect(shown(error)).toEqual(["unspec", "from-outside stack-unknown-flow"]);
    // Behind the Ethernet, IP and ICMP headers and that of the packet that it quotes.
    expect(error.packet.readUInt16BE(62)).toBe(POD.port);
    expect(wrongSums(error.packet).filter((fault) => fault !== "quoted 6")).toEqual([]);
  });

  test("of what a program has decided on are none of its", () => {
    fromClient(syn);
    expect(shown(toOutside({ ...syn, from: at(POD.port) }, DONE))).toEqual(["unspec"]);
    expect(nats()).toMatchObject([{ client: CLIENT }]);
  });

  test("what has no port, or another source, passes", () => {
    const shapes: [Shape, string][] = [
      [{ ...syn, from: at(1), fragment: 0x0010 }, "stack-fragment"],
      [{ ...syn, from: at(1), protocol: "gre" }, "stack-protocol"],
      [{ ...syn, from: { ...POD, address: "10.9.0.1" } }, "not-selected"],
      [
        {
          from: at(0),
          to: OUTSIDE,
          protocol: "icmp",
          icmpType: 3,
          quote: datagram({ from: OUTSIDE, to: at(9), protocol: "udp" }),
        },
        "to-outside",
      ],
    ];
    for (const [shape, verdict] of shapes) expect(shown(toOutside(shape))).toEqual(["unspec", `to-outside ${verdict}`]);
    expect(nats()).toEqual([]);
  });

  test("a tuple that comes out of the tunnel as it leaves is no translation", () => {
    toOutside({ ...syn, from: at(POD.port) });
    expect(shown(fromClient({ ...syn, from: at(POD.port) }))).toEqual(["unspec", "from-client not-selected"]);
  });
});
