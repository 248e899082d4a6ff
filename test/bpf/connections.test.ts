import { connectionConstants, type Role } from "../../provider/compile/bpf-connections";
import {
  CONNECTION_KINDS,
  decode,
  EGRESS_FLAGS,
  encode,
  GATEWAY_EXCLUDED,
  GATEWAY_NONE,
  MARK_SKIP_RPF,
  MARK_UNTRACKED,
  type Values,
  write,
} from "../../provider/kernel/bpf-layout";
import { ago, Kernel, type Outcome, type Programs } from "./kernel";
import { datagram, type End, ETHERNET, frame, PROTOCOLS, type Shape } from "./packet";
import { takeEvents } from "./trace";

const POD: End = { address: "10.0.1.11", port: 40000 };
const OUTSIDE: End = { address: "203.0.113.9", port: 443 };
const GATEWAY: End = { address: "10.0.2.20", port: 50000 };
const NODE: End = { address: "192.168.0.11", port: 60000 };
const TUNNEL = 4790;
const [FIRST, LATER] = [0x2000, 0x0010];
const [BEGINNER, OTHER] = [1, 2];
/** A bit of kube-proxy's, which nobody but kube-proxy changes. */
const THEIRS = 0x4000;

let kernel: Kernel;
let programs: Programs;

beforeAll(() => {
  kernel = Kernel.start();
  for (const address of [POD.address, "10.0.1.12"]) kernel.ip(`route add ${address}/32 dev pod`);
});
afterAll(() => kernel.stop());

function load(role: Role, change: Readonly<Record<string, Buffer>> = {}): void {
  const constants = Object.entries(connectionConstants({ fleet: { tunnelPort: TUNNEL } }, role));
  const bytes = Object.fromEntries(constants.map(([name, { type, value }]) => [name, write(type, value)]));
  programs = kernel.load("connections.bpf.c", { ...bytes, ...change });
  programs.set("egw_pods", write("address", GATEWAY.address), write("u32", 1));
  programs.set("egw_pods", write("address", "10.0.2.21"), write("u32", 1));
}
beforeEach(() => {
  for (const map of ["egw_connections", "egw_policies", "egw_pieces"])
    for (const { key } of programs.entries(map)) programs.remove(map, key);
  policy(GATEWAY.address);
});

const POLICY_KEY = { prefix_length: 56, source: POD.address, destination: "203.0.113.0" };
const policy = (gateway: string): void =>
  programs.set(
    "egw_policies",
    encode("egw_policy_key", POLICY_KEY),
    encode("egw_policy", { egress_ip: gateway, gateway }),
  );
const noPolicy = (): void => programs.remove("egw_policies", encode("egw_policy_key", POLICY_KEY));

const tupleOf = ({ from, to, protocol }: Shape): Values<"egw_tuple"> => ({
  source: from.address,
  destination: to.address,
  source_port: from.port,
  destination_port: to.port,
  protocol: PROTOCOLS[protocol],
});
const FLAGS = { nobody: 0, ...EGRESS_FLAGS };
/** A connection that began as `shape` does, and was seen so many seconds ago. */
function known(
  shape: Shape,
  kind: keyof typeof CONNECTION_KINDS,
  { silent = 0, begun = "client", sides = BEGINNER, ...more }: Known = {},
): void {
  const value = {
    seen: ago(silent),
    gateway: kind === "CT-A" ? GATEWAY.address : "0.0.0.0",
    ifindex: kernel.indexOf(begun === "client" ? "pod" : "other"),
    begun: FLAGS[begun],
    kind: CONNECTION_KINDS[kind],
    sides,
    state: 0,
    ...more,
  };
  programs.set("egw_connections", encode("egw_tuple", tupleOf(shape)), encode("egw_connection", value));
}
interface Known extends Partial<Omit<Values<"egw_connection">, "seen" | "begun">> {
  readonly silent?: number;
  readonly begun?: keyof typeof FLAGS;
}
/** All connections that are known, without their times. */
const connections = () =>
  programs.entries("egw_connections").map(({ key, value }) => {
    const { seen: _, ...rest } = decode("egw_connection", value);
    return { ...decode("egw_tuple", key), ...rest };
  });
const one = (shape: Shape, kind: keyof typeof CONNECTION_KINDS) => ({
  ...tupleOf(shape),
  kind: CONNECTION_KINDS[kind],
});

const reversed = (shape: Shape): Shape => ({ ...shape, from: shape.to, to: shape.from });
const ask: Shape = { from: POD, to: OUTSIDE, protocol: "tcp" };
const go = (shape: Shape): Shape => ({ ...shape, flags: ["ACK", "PSH"] });
const answer: Shape = { ...reversed(ask), flags: ["SYN", "ACK"] };
const udp: Shape = { ...ask, protocol: "udp" };
const tunnel: Shape = { from: NODE, to: { ...GATEWAY, port: TUNNEL }, protocol: "udp" };
const asked: Shape = { from: GATEWAY, to: OUTSIDE, protocol: "tcp" };
/** An error that `from` sends to `to` about a packet. */
const error = (from: string, to: string, about: Shape): Shape => ({
  from: { address: from, port: 0 },
  to: { address: to, port: 0 },
  protocol: "icmp",
  icmpType: 3,
  quote: datagram(about),
});
const ROUTER = "203.0.113.77";

const run =
  (program: string, device: string) =>
  (shape: Shape, mark = 0) =>
    programs.run(program, frame(shape), { device, mark });
const [fromPod, toPod] = [run("from_workload", "pod"), run("to_workload", "pod")];
const [fromGateway, toGateway] = [run("from_workload", "other"), run("to_workload", "other")];
const [fromUplink, toUplink] = [run("from_network", "uplink"), run("to_network", "uplink")];
/** Not the way to the outside: a device that encapsulates. */
const fromTunl = run("from_network", "other");

/** What became of a packet: dropped or not, what was counted, and the mark where it has one. */
const shown = ({ action, counted, mark }: Outcome): string =>
  [...counted.map((name) => name.split(" ").at(-1)), ...(action === "unspec" ? [] : [action])].join() +
  (mark === 0 ? "" : ` ${mark.toString(16)}`);
const [NEW, HIT] = ["connection-new", "connection-hit"];
const SKIPPED = MARK_SKIP_RPF.toString(16);
const UNTRACKED = MARK_UNTRACKED.toString(16);

describe("a client pod's device", () => {
  beforeAll(() => load({ isClient: true }));

  test.each<[string, Shape]>([
    ["tcp", ask],
    ["udp", udp],
    ["an echo", { ...ask, to: { ...OUTSIDE, port: 0 }, protocol: "icmp" }],
  ])("what begins is CT-A, then known; its answers are too: %s", (_, shape) => {
    const { packet, ...outcome } = fromPod(shape);
    expect(shown({ packet, ...outcome })).toBe(NEW);
    expect(outcome.counted).toEqual([`from-workload ${NEW}`]);
    expect(packet).toEqual(frame(shape));
    const expected = { ...one(shape, "CT-A"), gateway: GATEWAY.address, ifindex: kernel.indexOf("pod"), begun: 1 };
    expect(connections()).toEqual([{ ...expected, sides: BEGINNER, state: 0 }]);
    expect(shown(fromPod(go(shape)))).toBe(HIT);
    expect(shown(toPod({ ...reversed(go(shape)), icmpType: 0 }))).toBe(HIT);
    expect(connections()).toMatchObject([{ ...expected, sides: BEGINNER, state: 1 }]);
  });

  test("what has no ports is one connection by its addresses, and an error belongs to what it quotes", () => {
    const gre = frame(udp);
    gre.writeUInt8(47, ETHERNET + 9);
    expect([1, 2].map(() => shown(programs.run("from_workload", gre, { device: "pod" })))).toEqual([NEW, HIT]);
    expect(connections()).toMatchObject([{ protocol: 47, source_port: 0, destination_port: 0 }]);
    const about = error(POD.address, OUTSIDE.address, reversed(udp));
    expect(shown(fromPod(about))).toBe("stack-mid-flow");
    known(udp, "CT-A");
    expect(shown(fromPod(about))).toBe(HIT);
    expect(shown(toPod(error(ROUTER, POD.address, udp)))).toBe(HIT);
    expect(shown(toPod(error(ROUTER, POD.address, { ...udp, to: { ...OUTSIDE, port: 1 } })))).toBe("not-selected");
  });

  test.each<[string, Shape, string, () => void]>([
    ["goes elsewhere", { ...ask, to: { ...OUTSIDE, address: "198.51.100.7" } }, "not-selected", () => {}],
    ["is another pod's", { ...ask, from: { ...POD, address: "10.0.1.12" } }, "not-selected", () => {}],
    ["is excluded", ask, "not-selected", () => policy(GATEWAY_EXCLUDED)],
    ["has no gateway", ask, "not-selected", () => policy(GATEWAY_NONE)],
    ["has a node as gateway", ask, "not-selected", () => policy("192.168.0.101")],
    ["is mid-flow", go(ask), "stack-mid-flow", () => {}],
    ["is the rest of a fragmented packet", { ...udp, fragment: LATER }, "stack-fragment", () => {}],
  ])("what %s is let alone", (_, shape, verdict, before) => {
    before();
    expect(shown(fromPod(shape))).toBe(verdict);
    expect(connections()).toEqual([]);
  });

  test("what is no answer of CT-A is let alone on its way to the pod", () => {
    expect(shown(toPod(answer))).toBe("not-selected");
    known(reversed(ask), "CT-A");
    known({ ...udp, from: { ...POD, port: 7 } }, "CT-C");
    expect(shown(toPod(answer))).toBe("not-selected");
    expect(shown(toPod(reversed({ ...udp, from: { ...POD, port: 7 } })))).toBe("not-selected");
  });

  test("a pod that uses another one's address begins nothing, and takes nothing over", () => {
    expect(shown(run("from_workload", "other")(ask))).toBe("stack-other-device");
    known(ask, "CT-A");
    expect(shown(run("from_workload", "other")(go(ask)))).toBe("stack-other-device");
    expect(connections()).toMatchObject([{ ifindex: kernel.indexOf("pod") }]);
  });

  test("a SYN asks policies anew, what is open does not", () => {
    known(ask, "CT-A", { state: 8 });
    noPolicy();
    expect(shown(fromPod(go(ask)))).toBe(HIT);
    expect(shown(fromPod(ask))).toBe("not-selected");
    expect(connections()).toEqual([]);
    known(ask, "CT-A", { state: 8 });
    policy("10.0.2.21");
    expect(shown(fromPod(go(ask)))).toBe(HIT);
    expect(connections()).toMatchObject([{ gateway: GATEWAY.address, state: 0 }]);
    expect(shown(fromPod(ask))).toBe(HIT);
    expect(connections()).toMatchObject([{ gateway: "10.0.2.21", state: 0 }]);
  });

  test("a connection of which an answer was seen first is this node's once its client is heard", () => {
    known(ask, "CT-A", { begun: "gateway" });
    expect(shown(fromPod(go(ask)))).toBe(HIT);
    expect(connections()).toMatchObject([{ begun: EGRESS_FLAGS.client, ifindex: kernel.indexOf("pod") }]);
  });

  test("what was silent for as long as conntrack remembers is not known any more", () => {
    for (const [shape, state, alive, dead] of [
      [udp, 0, 25, 35],
      [udp, 1, 25, 35],
      [udp, 16, 25, 35],
      [udp, 17, 115, 125],
      [go(ask), 0, 115, 125],
      [go(ask), 8, 115, 125],
      [go(ask), 8 + 32, 5, 15],
      [go(ask), 1 + 2, 3595, 3605],
      [go(ask), 1 + 2 + 4, 115, 125],
    ] as const) {
      known(shape, "CT-A", { state, silent: alive });
      expect(shown(fromPod(shape))).toBe(HIT);
      known(shape, "CT-A", { state, silent: dead });
      expect(shown(fromPod(shape))).toBe(shape.protocol === "udp" ? NEW : "stack-mid-flow");
    }
    // What comes from outside may be forged.
    known(go(ask), "CT-A", { state: 1 + 4, silent: 125 });
    expect(shown(fromPod(go(ask)))).toBe(HIT);
  });

  test("the end of a connection is noted", () => {
    known(ask, "CT-A");
    fromPod({ ...ask, flags: ["FIN", "ACK"] });
    toPod({ ...answer, flags: ["FIN", "ACK"] });
    expect(connections()).toMatchObject([{ state: 1 + 2 + 4 }]);
    toPod({ ...answer, flags: ["RST"] });
    expect(connections()).toMatchObject([{ state: 1 + 2 + 4 + 8 }]);
  });

  test("that it goes on is noted", () => {
    for (const [silent, state] of [
      [0, 0],
      [2, 16],
    ] as const) {
      known(udp, "CT-A", { silent });
      fromPod(udp);
      expect(connections()).toMatchObject([{ state }]);
    }
  });
});

describe("a gateway pod's device", () => {
  beforeAll(() => load({ gatewayPod: GATEWAY.address }));

  test("the tunnel into it is CT-B, what it asks is CT-C, and both are known then", () => {
    expect([1, 2].map(() => shown(toGateway(tunnel)))).toEqual([NEW, HIT]);
    expect(connections()).toMatchObject([{ ...one(tunnel, "CT-B"), sides: OTHER, begun: EGRESS_FLAGS.gateway }]);
    expect([asked, go(asked)].map((shape) => shown(fromGateway(shape)))).toEqual([NEW, HIT]);
    expect(connections()).toContainEqual(expect.objectContaining({ ...one(asked, "CT-C"), sides: BEGINNER }));
    expect(shown(toGateway({ ...reversed(asked), flags: ["SYN", "ACK"] }))).toBe(HIT);
    expect(shown(toGateway(error(ROUTER, GATEWAY.address, asked)))).toBe(HIT);
  });

  test("answers that it sends by the tunnel are CT-B, and need no policy", () => {
    const back: Shape = { from: GATEWAY, to: { ...NODE, port: TUNNEL }, protocol: "udp" };
    expect([1, 2].map(() => shown(fromGateway(back)))).toEqual([NEW, HIT]);
    expect(connections()).toMatchObject([one(back, "CT-B")]);
  });

  test.each<[string, (shape: Shape) => Outcome, Shape, string]>([
    ["a connection to it", toGateway, { ...reversed(asked), flags: ["SYN"] }, "stack-unknown-flow"],
    ["what is for another one", toGateway, { ...tunnel, to: { address: "10.0.2.21", port: TUNNEL } }, "not-selected"],
    ["the middle of what it asks", fromGateway, go(asked), "stack-mid-flow"],
    ["its error about what nobody knows", fromGateway, error(GATEWAY.address, "10.0.9.9", ask), "stack-unknown-flow"],
    ["the rest of a packet of its own", fromGateway, { ...udp, from: GATEWAY, fragment: LATER }, "stack-fragment"],
  ])("%s is let alone", (_, act, shape, verdict) => {
    expect(shown(act(shape))).toBe(verdict);
    expect(connections()).toEqual([]);
  });

  test("[2] an answer to another node's client is CT-A with both sides allowed, and none of conntrack's", () => {
    const { packet, ...outcome } = fromGateway(answer, THEIRS);
    expect(shown({ packet, ...outcome })).toBe(`${NEW} ${(MARK_UNTRACKED + THEIRS).toString(16)}`);
    expect(packet).toEqual(frame(answer));
    expect(connections()).toEqual([
      {
        ...one(ask, "CT-A"),
        gateway: GATEWAY.address,
        ifindex: kernel.indexOf("other"),
        begun: EGRESS_FLAGS.gateway,
        sides: BEGINNER + OTHER,
        state: 1,
      },
    ]);
    expect(shown(fromGateway(go(answer)))).toBe(`${HIT} ${UNTRACKED}`);
  });

  test("[3] an answer to a client of this node is conntrack's, and only its source is let pass", () => {
    known(ask, "CT-A");
    expect(shown(fromGateway(answer, THEIRS))).toBe(`${HIT} ${(MARK_SKIP_RPF + THEIRS).toString(16)}`);
    expect(connections()).toMatchObject([{ begun: EGRESS_FLAGS.client, sides: BEGINNER + OTHER, state: 1 }]);
  });

  test.each<[string, () => void]>([
    ["has no policy", noPolicy],
    ["asks by another gateway pod", () => policy("10.0.2.21")],
    ["is excluded", () => policy(GATEWAY_EXCLUDED)],
    ["has no gateway", () => policy(GATEWAY_NONE)],
  ])("with another source than its own it answers nobody who %s, but for what is known", (_, before) => {
    before();
    for (const shape of [answer, reversed(udp), { ...reversed(udp), fragment: LATER }, error(ROUTER, POD.address, udp)])
      expect(shown(fromGateway(shape))).toBe("drop-other-source,shot");
    expect(connections()).toEqual([]);
    known(ask, "CT-A", { gateway: "10.0.2.21" });
    expect(shown(fromGateway(answer))).toBe("drop-other-source,shot");
    known(ask, "CT-A", { silent: 125 });
    expect(shown(fromGateway(answer))).toBe("drop-other-source,shot");
    known(ask, "CT-A");
    expect(shown(fromGateway(answer))).toBe(`${HIT} ${SKIPPED}`);
  });

  test("what a client sends never comes out of it as it is", () => {
    known(ask, "CT-A");
    expect(shown(fromGateway(go(ask)))).toBe("drop-other-source,shot");
    expect(shown(fromGateway(udp))).toBe("drop-other-source,shot");
  });

  test("what is known of another gateway pod is this one's where the policy says so by now", () => {
    known(ask, "CT-A", { gateway: "10.0.2.21" });
    expect(shown(fromGateway(answer))).toBe(`${HIT} ${SKIPPED}`);
    expect(connections()).toMatchObject([{ gateway: GATEWAY.address }]);
  });

  test("an error that it hands on or sends itself goes where the answer would, to whom the quoted packet is of", () => {
    for (const from of [ROUTER, GATEWAY.address])
      expect(shown(fromGateway(error(from, POD.address, udp)))).toBe(`stack-unknown-flow ${UNTRACKED}`);
    expect(connections()).toEqual([]);
    known(udp, "CT-A");
    for (const from of [ROUTER, GATEWAY.address])
      expect(shown(fromGateway(error(from, POD.address, udp)))).toBe(`${HIT} ${SKIPPED}`);
    expect(shown(fromGateway(error(ROUTER, "10.0.1.12", udp)))).toBe("drop-other-source,shot");
  });

  test("fragments of an answer are marked alike, also one that comes before the first", () => {
    const first: Shape = { ...reversed(udp), fragment: FIRST };
    const rest: Shape = { ...first, fragment: LATER };
    expect(shown(fromGateway(rest))).toBe(`stack-fragment ${SKIPPED}`);
    expect([first, rest].map((shape) => shown(fromGateway(shape)))).toEqual([
      `${NEW} ${UNTRACKED}`,
      `${HIT} ${UNTRACKED}`,
    ]);
    expect(shown(fromGateway({ ...rest, id: 7 }))).toBe(`stack-fragment ${SKIPPED}`);
  });
});

describe("a device of the node", () => {
  beforeAll(() => load({}));

  test.each([
    ["from", "from_network", BEGINNER],
    ["to", "to_network", OTHER],
  ] as const)("the tunnel of gateway pods is CT-B, both ways, that of nodes is not: %s", (_, program, sides) => {
    const other = { address: "192.168.0.101", port: TUNNEL };
    expect([1, 2].map(() => shown(run(program, "uplink")(tunnel)))).toEqual([NEW, HIT]);
    expect(connections()).toMatchObject([{ ...one(tunnel, "CT-B"), sides, begun: 0 }]);
    expect(shown(run(program, "uplink")({ ...tunnel, from: GATEWAY, to: { ...NODE, port: TUNNEL } }))).toBe(NEW);
    for (const shape of [
      { ...tunnel, to: other },
      { ...tunnel, to: GATEWAY },
      { ...tunnel, protocol: "tcp" as const },
    ])
      expect(shown(run(program, "uplink")(shape))).toBe("not-selected");
  });

  test("CT-C is known both ways, and begins at the gateway pod alone", () => {
    expect(shown(toUplink(asked))).toBe("not-selected");
    known(asked, "CT-C", { begun: "gateway" });
    expect(shown(toUplink(asked))).toBe(HIT);
    expect(connections()).toMatchObject([{ sides: BEGINNER + OTHER }]);
    expect(shown(fromUplink({ ...reversed(asked), flags: ["SYN", "ACK"] }))).toBe(HIT);
  });

  test("[4] an answer on its client's node may come by a device that is not the way to its source", () => {
    known(ask, "CT-A");
    expect(shown(fromTunl(answer, THEIRS))).toBe(`${HIT} ${(MARK_SKIP_RPF + THEIRS).toString(16)}`);
    expect(connections()).toMatchObject([{ sides: BEGINNER + OTHER, state: 1 }]);
    expect(shown(fromUplink(answer))).toBe(HIT);
    expect(shown(fromTunl(error(ROUTER, POD.address, ask)))).toBe(`${HIT} ${SKIPPED}`);
  });

  test("answers of CT-A leave the gateway pod's node, and come in on the client's; all else is let alone", () => {
    expect([fromTunl(answer), toUplink(answer)].map(shown)).toEqual(["not-selected", "not-selected"]);
    known(ask, "CT-A", { sides: BEGINNER + OTHER });
    expect([toUplink(go(answer)), toUplink(go(ask)), fromTunl(go(ask))].map(shown)).toEqual(
      Array(3).fill("not-selected"),
    );
    known(ask, "CT-A", { sides: BEGINNER + OTHER, begun: "gateway" });
    expect([fromTunl(go(answer)), toUplink(go(ask))].map(shown)).toEqual(["not-selected", "not-selected"]);
    expect(shown(toUplink(go(answer)))).toBe(HIT);
  });

  test("what leaves in the middle of a TCP connection has to be allowed for whom it goes to", () => {
    known(ask, "CT-A", { sides: OTHER, begun: "gateway" });
    expect(shown(toUplink(answer))).toBe("stack-mid-flow");
    known(udp, "CT-A", { sides: OTHER, begun: "gateway" });
    expect(shown(toUplink(reversed(udp)))).toBe(HIT);
  });

  test("fragments of an answer are marked alike", () => {
    known(udp, "CT-A");
    const first: Shape = { ...reversed(udp), fragment: FIRST };
    const rest: Shape = { ...first, fragment: LATER };
    expect(shown(fromTunl(rest))).toBe("stack-fragment");
    expect([first, rest].map((shape) => shown(fromTunl(shape)))).toEqual([`${HIT} ${SKIPPED}`, `${HIT} ${SKIPPED}`]);
  });

  test("the marks end where the node does, those of others don't", () => {
    for (const mark of [MARK_SKIP_RPF, MARK_UNTRACKED]) expect(toUplink(answer, mark + THEIRS).mark).toBe(THEIRS);
    expect(toUplink(answer, 0x14000000 + THEIRS).mark).toBe(0x14000000 + THEIRS);
  });

  test("what is not IPv4 is let alone, and a pod's device that has neither role", () => {
    const arp = frame(ask);
    arp.writeUInt16BE(0x0806, 12);
    const all = ["from_workload", "to_workload", "from_network", "to_network"];
    expect(all.map((program) => shown(programs.run(program, arp)))).toEqual(Array(4).fill("not-ipv4"));
    expect([fromPod(ask), toPod(answer)].map(shown)).toEqual(["not-selected", "not-selected"]);
  });
});

describe("constants", () => {
  beforeAll(() => load({ isClient: true }, { trace: write("u32", 1) }));
  const events = () => takeEvents(kernel.run, `${programs.pins}/maps/egw_trace`);

  test("a trace tells the hook, the device, the connection and whether it was known; without it nothing is told", () => {
    fromPod(ask);
    toPod(answer);
    fromPod({ ...ask, to: { ...OUTSIDE, address: "198.51.100.7" } });
    const common = { ifindex: kernel.indexOf("pod"), kind: "CT-A", tuple: tupleOf(ask) };
    expect(events()).toMatchObject([
      { ...common, hook: "from-workload", isCreated: true, isAnswer: false },
      { ...common, hook: "to-workload", isCreated: false, isAnswer: true },
    ]);
    load({ isClient: true });
    policy(GATEWAY.address);
    expect(shown(fromPod(ask))).toBe(NEW);
    expect(events()).toEqual([]);
  });

  test.each([
    ["a client and a gateway", { egress_flags: write("u32", EGRESS_FLAGS.client | EGRESS_FLAGS.gateway) }],
    ["a gateway without an address", { workload_address: write("address", "0.0.0.0") }],
  ])("the verifier refuses %s", (_, change) => {
    expect(() => load({ gatewayPod: GATEWAY.address }, change)).toThrow(/invalid mem access/);
    load({});
  });
});
