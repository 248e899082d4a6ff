import { encode, GATEWAY_EXCLUDED, GATEWAY_NONE, write } from "../../provider/kernel/bpf-layout";
import { Kernel, type Programs } from "./kernel";
import { type End, ETHERNET, frame, type Shape, wrongSums } from "./packet";

const POD: End = { address: "10.0.1.11", port: 40000 };
const OUTSIDE: End = { address: "203.0.113.9", port: 443 };
const GATEWAY = "192.168.0.101";
const GATEWAY_MAC = "66:26:00:00:00:65";
const OWN_MAC = "66:26:00:00:00:0b";
const EGRESS = "192.0.2.1";

let kernel: Kernel;
let programs: Programs;

beforeAll(() => {
  kernel = Kernel.start();
});
afterAll(() => kernel.stop());

beforeEach(() => {
  programs = kernel.load("client.bpf.c", { tunnel_ifindex: write("u32", 2), tunnel_mac: write("mac", OWN_MAC) });
  programs.set("egw_peers", write("address", GATEWAY), write("mac", GATEWAY_MAC));
  policy(POD.address, "203.0.113.0/24", GATEWAY);
});

function policy(source: string, destination: string, gateway: string): void {
  const [network = "", length = "32"] = destination.split("/");
  programs.set(
    "egw_policies",
    encode("egw_policy_key", { prefix_length: 32 + Number(length), source, destination: network }),
    encode("egw_policy", { egress_ip: EGRESS, gateway }),
  );
}

const flow = (from: End, to: End, kind: number, protocol = 6): void =>
  programs.set(
    "egw_flows",
    encode("egw_tuple", {
      source: from.address,
      destination: to.address,
      source_port: from.port,
      destination_port: to.port,
      protocol,
    }),
    encode("egw_flow", { seen: 1n, gateway: GATEWAY, kind }),
  );

const syn: Shape = { from: POD, to: OUTSIDE, protocol: "tcp" };
const data: Shape = { ...syn, flags: ["ACK", "PSH"], payload: Buffer.from("hello") };
const fromPod = (shape: Shape) => programs.run("from_pod", frame(shape));
const shown = ({ action, counted }: { action: string; counted: readonly string[] }) => [action, ...counted];

test("a SYN that a policy selects goes into the tunnel, one hop older, and begins a flow", () => {
  const { packet, ...outcome } = fromPod(syn);
  expect(shown(outcome)).toEqual(["redirect", "from-pod to-tunnel"]);
  expect(packet).toEqual(frame({ ...syn, ttl: 63, macs: { from: OWN_MAC, to: GATEWAY_MAC } }));
  expect(programs.entries("egw_flows")).toHaveLength(1);
  expect(shown(fromPod(data))).toEqual(["redirect", "from-pod to-tunnel"]);
});

test.each<[string, Partial<Shape>, string]>([
  ["goes elsewhere", { to: { ...OUTSIDE, address: "198.51.100.7" } }, "not-selected"],
  ["comes from another pod", { from: { ...POD, address: "10.0.1.12" } }, "not-selected"],
  ["is mid-flow, of a connection that is not known", { flags: ["ACK"] }, "stack-mid-flow"],
  ["is an answer", { flags: ["SYN", "ACK"] }, "stack-mid-flow"],
  ["is UDP, of which only the stack knows whether it begins something", { protocol: "udp" }, "stack-unknown-flow"],
  ["is an echo request", { protocol: "icmp" }, "stack-unknown-flow"],
  ["is a first fragment", { fragment: 0x2000 }, "stack-fragment"],
  ["is a last fragment", { fragment: 0x0010 }, "stack-fragment"],
  ["has IP options", { ipOptions: Buffer.from([1, 1, 1, 1]) }, "stack-options"],
  ["is at its last hop", { ttl: 1 }, "stack-ttl"],
])("what %s is left to the stack as it is", (_, change, verdict) => {
  const shape = { ...syn, ...change };
  const { packet, ...outcome } = fromPod(shape);
  expect(shown(outcome)).toEqual(["ok", `from-pod ${verdict}`]);
  expect(packet).toEqual(frame(shape));
});

test("what is too long for the tunnel is left to the stack", () => {
  fromPod(syn);
  const payload = (bytes: number) => ({ ...data, payload: Buffer.alloc(bytes) });
  expect(shown(fromPod(payload(1450 - 40)))).toEqual(["redirect", "from-pod to-tunnel"]);
  expect(shown(fromPod(payload(1450 - 39)))).toEqual(["ok", "from-pod stack-too-big"]);
});

test("what is not IPv4 is let alone", () => {
  const arp = frame(syn);
  arp.writeUInt16BE(0x0806, 12);
  expect(shown(programs.run("from_pod", arp))).toEqual(["ok", "from-pod not-ipv4"]);
});

test("an excluded network inside a policy's is let alone, and a network without a gateway is closed", () => {
  policy(POD.address, "203.0.113.0/28", GATEWAY_EXCLUDED);
  policy(POD.address, "203.0.113.128/25", GATEWAY_NONE);
  expect(shown(fromPod(syn))).toEqual(["ok", "from-pod excluded"]);
  expect(shown(fromPod({ ...syn, to: { ...OUTSIDE, address: "203.0.113.200" } }))).toEqual([
    "shot",
    "from-pod drop-no-gateway",
  ]);
  expect(programs.entries("egw_flows")).toEqual([]);
  expect(shown(fromPod({ ...syn, to: { ...OUTSIDE, address: "203.0.113.20" } }))).toEqual([
    "redirect",
    "from-pod to-tunnel",
  ]);
});

test("a wide source is selected by its class, and an exception of the pod's own policy is none of that", () => {
  const other = { ...syn, from: { ...POD, address: "10.0.9.9" } };
  expect(shown(fromPod(other))).toEqual(["ok", "from-pod not-selected"]);
  programs.set(
    "egw_sources",
    encode("egw_source_key", { prefix_length: 16, source: "10.0.0.0" }),
    write("address", "0.0.0.7"),
  );
  policy("0.0.0.7", "203.0.113.0/24", GATEWAY);
  policy(POD.address, "203.0.113.9/32", GATEWAY_EXCLUDED);
  for (const shape of [other, syn]) expect(shown(fromPod(shape))).toEqual(["redirect", "from-pod to-tunnel"]);
  policy("0.0.0.7", "203.0.113.9/32", GATEWAY_EXCLUDED);
  for (const shape of [
    { ...other, from: { ...other.from, port: 1 } },
    { ...syn, from: { ...POD, port: 1 } },
  ])
    expect(shown(fromPod(shape))).toEqual(["ok", "from-pod excluded"]);
  // Where the class says nothing, the pod's own entry does.
  policy(POD.address, "198.51.100.0/24", GATEWAY_EXCLUDED);
  expect(shown(fromPod({ ...syn, to: { ...OUTSIDE, address: "198.51.100.7" } }))).toEqual(["ok", "from-pod excluded"]);
});

test("a connection whose policy is gone is ended, and one that was open keeps its gateway", () => {
  fromPod(syn);
  policy(POD.address, "203.0.113.0/24", "192.168.0.102");
  const { packet } = fromPod(data);
  expect(packet.subarray(0, 6).toString("hex")).toBe(GATEWAY_MAC.replaceAll(":", ""));
  programs.remove(
    "egw_policies",
    encode("egw_policy_key", { prefix_length: 56, source: POD.address, destination: "203.0.113.0" }),
  );
  const { packet: dropped, ...outcome } = fromPod(data);
  expect(shown(outcome)).toEqual(["shot", "from-pod drop-cut"]);
  expect(dropped.subarray(0, ETHERNET)).toEqual(frame(data).subarray(0, ETHERNET));
});

test("who calls a selected pod is answered by the pod's own path", () => {
  const answer: Shape = { ...syn, flags: ["SYN", "ACK"] };
  programs.run("to_pod", frame({ from: OUTSIDE, to: POD, protocol: "tcp" }));
  programs.run("to_pod", frame({ from: OUTSIDE, to: { ...POD, port: 53 }, protocol: "udp" }));
  expect(shown(fromPod(answer))).toEqual(["ok", "from-pod answer"]);
  expect(shown(fromPod({ ...answer, flags: ["ACK"] }))).toEqual(["ok", "from-pod answer"]);
  expect(shown(fromPod({ ...answer, protocol: "udp", from: { ...POD, port: 53 } }))).toEqual(["ok", "from-pod answer"]);
});

test("what the stack has sent into the tunnel is a flow from then on", () => {
  programs.set("egw_underlays", write("mac", GATEWAY_MAC), write("address", GATEWAY));
  const udp: Shape = { ...syn, protocol: "udp" };
  programs.run("to_tunnel", frame({ ...udp, macs: { from: OWN_MAC, to: GATEWAY_MAC } }));
  programs.run(
    "to_tunnel",
    frame({ ...udp, from: { ...POD, port: 2 }, macs: { from: OWN_MAC, to: "66:26:00:00:ff:ff" } }),
  );
  expect(shown(fromPod(udp))).toEqual(["redirect", "from-pod to-tunnel"]);
  expect(shown(fromPod({ ...udp, from: { ...POD, port: 2 } }))).toEqual(["ok", "from-pod stack-unknown-flow"]);
});

test("an ICMP error about an answer goes where the connection goes", () => {
  flow(POD, OUTSIDE, 1, 17);
  const answer = frame({ from: OUTSIDE, to: POD, protocol: "udp" }).subarray(ETHERNET);
  const error: Shape = { from: POD, to: OUTSIDE, protocol: "icmp", icmpType: 3, quote: answer };
  const { packet, ...outcome } = fromPod(error);
  expect(shown(outcome)).toEqual(["redirect", "from-pod to-tunnel"]);
  expect(wrongSums(packet)).toEqual([]);
  const unknown = frame({ from: OUTSIDE, to: { ...POD, port: 9 }, protocol: "udp" }).subarray(ETHERNET);
  expect(shown(fromPod({ ...error, quote: unknown }))).toEqual(["ok", "from-pod stack-mid-flow"]);
});
