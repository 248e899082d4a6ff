import { decode, encode, write } from "../../provider/kernel/bpf-layout";
import { ago, Kernel, type Outcome, type Programs } from "./kernel";
import { datagram, type End, ETHERNET, frame, NOTHING, PROTOCOLS, type Shape, SOURCE_ROUTES } from "./packet";

const POD: End = { address: "10.0.1.11", port: 40000 };
const OUTSIDE: End = { address: "203.0.113.9", port: 443 };
const EGRESS = "192.0.2.1";
const GATEWAY = "192.168.0.101";
const [FIRST, LATER] = [0x2000, 0x0010];

let kernel: Kernel;
let programs: Programs;

beforeAll(() => {
  kernel = Kernel.start();
  kernel.ip(`addr add ${EGRESS}/32 dev uplink`);
  kernel.ip(`route add ${POD.address}/32 dev pod`);
});
afterAll(() => kernel.stop());

const shown = ({ action, counted }: Outcome) => [action, ...counted];
const ip = ({ packet }: Outcome) => packet.subarray(ETHERNET);
const portOf = ({ packet }: Outcome) => packet.readUInt16BE(packet[23] === 17 ? 34 : 38);
const udp: Shape = { from: POD, to: OUTSIDE, protocol: "udp", payload: Buffer.from("hello") };

/** Of a later fragment nothing but the address and the hops change. */
function later(before: Shape, after: Shape): Buffer {
  return Buffer.concat([datagram(after).subarray(0, 20), datagram(before).subarray(20)]);
}

/** The programs of a gateway node, with a policy for two pods. */
function gateway(): void {
  programs = kernel.load("../test/bpf/from-client-1.bpf.c", {
    uplink_ifindex: write("u32", kernel.indexOf("uplink")),
    node_address: write("address", GATEWAY),
  });
  for (const source of [POD.address, "10.0.1.12"])
    programs.set(
      "egw_policies",
      encode("egw_policy_key", { prefix_length: 56, source, destination: "203.0.113.0" }),
      encode("egw_policy", { egress_ip: EGRESS, gateway: GATEWAY }),
    );
}

/** Translations are known no more, until what this gives is called. */
function expire(): () => void {
  const known = programs.entries("egw_nat_out");
  for (const { key, value } of known)
    programs.set("egw_nat_out", key, encode("egw_nat", { ...decode("egw_nat", value), seen: 0n, state: 8 }));
  return () => {
    for (const { key, value } of known) programs.set("egw_nat_out", key, value);
  };
}

/** The fragments of long ago. */
function forget(): void {
  for (const { key, value } of programs.entries("egw_pieces"))
    programs.set("egw_pieces", key, Buffer.concat([write("u64", 0n), value.subarray(8)]));
}

describe.each<[string, Shape]>([
  ["udp", udp],
  ["an echo", { ...udp, to: { ...OUTSIDE, port: 0 }, protocol: "icmp" }],
])("fragments of %s", (_, call) => {
  const sent: Shape = { ...call, fragment: FIRST };
  const tuple = encode("egw_tuple", {
    source: POD.address,
    destination: OUTSIDE.address,
    source_port: POD.port,
    destination_port: call.to.port,
    protocol: PROTOCOLS[call.protocol],
  });
  const flow = () =>
    programs.set(
      "egw_flows",
      tuple,
      encode("egw_flow", {
        seen: ago(0),
        gateway: GATEWAY,
        ifindex: kernel.indexOf("pod"),
        state: 0,
      }),
    );
  const answer: Shape = { ...call, from: call.to, to: call.from, icmpType: 0, fragment: FIRST };

  test("go into the tunnel, whatever policies say by now", () => {
    programs = kernel.load("client.bpf.c", { tunnel_ifindex: write("u32", 2) });
    programs.set("egw_peers", write("address", GATEWAY), write("mac", "66:26:00:00:00:65"));
    const fromPod = (shape: Shape, device = "pod") => programs.run("from_pod", frame(shape), { device });
    const rest: Shape = { ...sent, fragment: LATER };
    const left = ["unspec", "from-pod stack-fragment"];
    const there = ["redirect", "from-pod to-tunnel-device"];
    expect(shown(fromPod(sent))).toEqual(left);
    expect(shown(fromPod(rest))).toEqual(left);
    flow();
    // What would end on the way is the stack's whole.
    expect(shown(fromPod({ ...sent, ttl: 1 }))).toEqual(["unspec", "from-pod stack-ttl"]);
    expect(shown(fromPod(rest))).toEqual(left);
    for (const shape of [sent, rest]) {
      const found = fromPod(shape);
      expect(shown(found)).toEqual(there);
      expect(ip(found)).toEqual(datagram({ ...shape, ttl: 63 }));
    }
    expect(shown(fromPod(rest, "uplink"))).toEqual(["unspec", "from-pod stack-other-device"]);
    expect(shown(fromPod({ ...rest, id: 7 }))).toEqual(left);
    expect(shown(fromPod({ ...rest, protocol: "tcp" }))).toEqual(left);
    // Another packet of the same id.
    expect(shown(fromPod({ ...sent, from: { ...POD, port: 2 } }))).toEqual(left);
    expect(shown(fromPod(rest))).toEqual(left);
    fromPod(sent);
    forget();
    expect(shown(fromPod(rest))).toEqual(left);
    fromPod(sent);
    programs.remove("egw_flows", tuple);
    expect(shown(fromPod(rest))).toEqual(left);
    flow();
    expect(shown(fromPod({ ...sent, ipOptions: NOTHING }))).toEqual(there);
    expect(shown(fromPod(rest))).toEqual(there);
    // What says by whom it goes is the stack's, which has none of the rest then.
    expect(shown(fromPod({ ...sent, ipOptions: SOURCE_ROUTES[0] }))).toEqual(["unspec", "from-pod stack-options"]);
    expect(shown(fromPod(rest))).toEqual(left);
  });

  test("leave the tunnel with the egress IP and one port", async () => {
    gateway();
    const rest: Shape = { ...sent, fragment: LATER };
    const fromClient = (shape: Shape) => programs.run("from_client_1", frame(shape));
    const left = ["unspec", "from-client stack-fragment"];
    const out = ["redirect", "from-client to-outside"];
    // Another pod has the port.
    fromClient({ ...call, from: { ...POD, address: "10.0.1.12" } });
    expect(shown(fromClient(rest))).toEqual(left);
    const found = fromClient(sent);
    expect(shown(found)).toEqual(out);
    const port = portOf(found);
    expect(port).not.toBe(POD.port);
    const from = { address: EGRESS, port };
    expect(ip(found)).toEqual(datagram({ ...sent, from, ttl: 63 }));
    const behind = fromClient(rest);
    expect(shown(behind)).toEqual(out);
    expect(ip(behind)).toEqual(later(rest, { ...rest, from, ttl: 63 }));
    expect(portOf(fromClient(call))).toBe(port);
    expect(shown(fromClient({ ...rest, id: 7 }))).toEqual(left);
    const restore = expire();
    expect(shown(fromClient(rest))).not.toEqual(out);
    restore();
    expect(shown(fromClient({ ...rest, from: { ...POD, address: "10.0.1.12" } }))).toEqual(left);
    // Another packet of the same id, that is nobody's.
    expect(shown(fromClient({ ...sent, protocol: "tcp", flags: ["ACK"] }))).toEqual([
      "unspec",
      "from-client stack-mid-flow",
    ]);
    expect(shown(fromClient(rest))).toEqual(out);
    kernel.ip(`route add ${OUTSIDE.address}/32 dev pod`);
    await new Promise((done) => setTimeout(done, 120));
    const elsewhere = shown(fromClient(sent));
    kernel.ip(`route del ${OUTSIDE.address}/32 dev pod`);
    expect(elsewhere).toEqual(["unspec", "from-client stack-no-route"]);
    expect(shown(fromClient(rest))).toEqual(left);
  });

  test("of an answer go from outside to the pod that asked", () => {
    gateway();
    // Another pod has the port, so that it is translated too.
    programs.run("from_client_1", frame({ ...call, from: { ...POD, address: "10.0.1.12" } }));
    const port = portOf(programs.run("from_client_1", frame(call)));
    const first: Shape = { ...answer, to: { address: EGRESS, port } };
    const fromOutside = (shape: Shape) => programs.run("from_outside", frame(shape));
    const rest: Shape = { ...first, fragment: LATER };
    const left = ["unspec", "from-outside stack-fragment"];
    const back = ["redirect", "from-outside to-tunnel-device"];
    expect(shown(fromOutside(rest))).toEqual(left);
    const found = fromOutside(first);
    expect(shown(found)).toEqual(back);
    expect(ip(found)).toEqual(datagram({ ...answer, ttl: 63 }));
    const behind = fromOutside(rest);
    expect(shown(behind)).toEqual(back);
    expect(ip(behind)).toEqual(later(rest, { ...answer, fragment: LATER, ttl: 63 }));
    expect(shown(fromOutside({ ...rest, id: 7 }))).toEqual(left);
    expect(shown(fromOutside({ ...rest, protocol: "tcp" }))).toEqual(left);
    const restore = expire();
    expect(shown(fromOutside(rest))).toEqual(left);
    restore();
    expect(shown(fromOutside(rest))).toEqual(back);
    // Another packet of the same id is nobody's.
    expect(shown(fromOutside({ ...first, to: { address: EGRESS, port: 2 } }))).toEqual(left);
    expect(shown(fromOutside(rest))).toEqual(left);
    fromOutside(first);
    forget();
    expect(shown(fromOutside(rest))).toEqual(left);
    // The stack's own: all of it is left to the stack.
    const own: Shape = { ...first, to: { address: EGRESS, port: 1 }, id: 8 };
    programs.set("egw_egress_ips", write("address", EGRESS), write("u32", 1));
    programs.run("to_outside", frame({ ...call, from: own.to }));
    expect(shown(fromOutside(own))).toEqual(left);
    expect(shown(fromOutside({ ...own, fragment: LATER }))).toEqual(left);
  });

  test("are one thing, errors about them another: such as come in fragments themselves are the stack's", () => {
    const error = (from: string, to: string, quoted: Shape, fragment = FIRST): Buffer => {
      const quote = datagram({ ...quoted, fragment: 0 });
      const ends = { from: { address: from, port: 0 }, to: { address: to, port: 0 } };
      return frame({ ...ends, protocol: "icmp", icmpType: 3, quote, fragment });
    };
    const router = "198.51.100.1";
    const byPod = (fragment?: number) => error(POD.address, OUTSIDE.address, answer, fragment);

    programs = kernel.load("client.bpf.c", { tunnel_ifindex: write("u32", 2) });
    programs.set("egw_peers", write("address", GATEWAY), write("mac", "66:26:00:00:00:65"));
    flow();
    const fromPod = (packet: Buffer) => shown(programs.run("from_pod", packet, { device: "pod" }));
    expect(fromPod(byPod(0))).toEqual(["redirect", "from-pod to-tunnel-device"]);
    expect(fromPod(byPod())).toEqual(["unspec", "from-pod stack-fragment"]);

    programs = kernel.load("../test/bpf/from-gateway-101.bpf.c");
    flow();
    const fromGateway = (packet: Buffer) => shown(programs.run("from_gateway_101", packet));
    expect(fromGateway(error(router, POD.address, call, 0))).toEqual(["redirect", "from-gateway to-pod"]);
    expect(fromGateway(error(router, POD.address, call))).toEqual(["unspec", "from-gateway stack-fragment"]);

    gateway();
    const fromClient = (packet: Buffer) => programs.run("from_client_1", packet);
    const port = portOf(fromClient(frame(call)));
    expect(shown(fromClient(byPod(0)))).toEqual(["redirect", "from-client to-outside"]);
    expect(shown(fromClient(byPod()))).toEqual(["unspec", "from-client stack-fragment"]);
    const about: Shape = { ...call, from: { address: EGRESS, port } };
    const fromOutside = (packet: Buffer) => shown(programs.run("from_outside", packet));
    expect(fromOutside(error(router, EGRESS, about, 0))).toEqual(["redirect", "from-outside to-tunnel-device"]);
    expect(fromOutside(error(router, EGRESS, about))).toEqual(["unspec", "from-outside stack-fragment"]);
  });

  test("of an answer go from the tunnel to its pod", () => {
    programs = kernel.load("../test/bpf/from-gateway-101.bpf.c");
    const fromGateway = (shape: Shape, program = "from_gateway_101") => programs.run(program, frame(shape));
    const rest: Shape = { ...answer, fragment: LATER };
    const left = ["unspec", "from-gateway stack-fragment"];
    const there = ["redirect", "from-gateway to-pod"];
    expect(shown(fromGateway(answer))).toEqual(left);
    flow();
    expect(shown(fromGateway(rest))).toEqual(left);
    for (const shape of [answer, rest]) {
      const found = fromGateway(shape);
      expect(shown(found)).toEqual(there);
      expect(ip(found).subarray(12)).toEqual(datagram(shape).subarray(12));
    }
    expect(shown(fromGateway(rest, "from_gateway"))).toEqual(["shot", "from-gateway drop-not-admitted"]);
    expect(shown(fromGateway({ ...rest, id: 7 }))).toEqual(left);
    expect(shown(fromGateway({ ...answer, to: { ...POD, port: 2 } }))).toEqual(left);
    expect(shown(fromGateway(rest))).toEqual(left);
    fromGateway(answer);
    forget();
    expect(shown(fromGateway(rest))).toEqual(left);
  });
});
