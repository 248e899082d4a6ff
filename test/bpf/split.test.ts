import { encode } from "../../provider/kernel/bpf-layout";
import { ago, Kernel, type Outcome, type Programs } from "./kernel";
import { datagram, type End, ETHERNET, frame, type Shape, wrongSums } from "./packet";

const POD: End = { address: "10.0.1.11", port: 40000 };
const OUTSIDE: End = { address: "203.0.113.9", port: 443 };
const GATEWAY = "192.168.0.101";
const [DONT_FRAGMENT, MORE] = [0x4000, 0x2000];
const THERE = ["redirect", "from-gateway to-pod"];

let kernel: Kernel;
let programs: Programs;

beforeAll(() => {
  kernel = Kernel.start();
  kernel.ip("link set pod mtu 1400");
  // Nothing else is to come by the device.
  kernel.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
  kernel.ip(`route add ${POD.address}/32 dev pod`);
  kernel.ip(`neigh add ${POD.address} lladdr 02:00:00:00:01:0b dev pod`);
  programs = kernel.load("../test/bpf/from-gateway-101.bpf.c");
});
afterAll(() => kernel.stop());

const answer: Shape = { from: OUTSIDE, to: POD, protocol: "udp" };
const shown = ({ action, counted }: Outcome) => [action, ...counted];
const ip = ({ packet }: Outcome) => packet.subarray(ETHERNET);
/** How many packets the pod's device has taken. */
const taken = () => Number(kernel.run("cat", "/sys/class/net/eth0/statistics/rx_packets"));
/** With so many bytes behind its header, each of which tells where it is. */
const long = (bytes: number, change: Partial<Shape> = {}): Shape => {
  const payload = Buffer.alloc(bytes - 8);
  for (let i = 0; i < payload.length; i++) payload[i] = i % 251;
  return { ...answer, payload, ...change };
};

/** The answer of a flow at a client node; how many packets went to the device before the one that is left. */
function toPod(shape: Shape): { readonly found: Outcome; readonly before: number } {
  const ends = { source: POD.address, destination: OUTSIDE.address, source_port: POD.port, destination_port: 443 };
  const flow = {
    seen: ago(0),
    gateway: GATEWAY,
    ifindex: kernel.indexOf("pod"),
    state: 0,
  };
  programs.set("egw_flows", encode("egw_tuple", { ...ends, protocol: 17 }), encode("egw_flow", flow));
  const first = taken();
  const found = programs.run("from_gateway_101", frame(shape));
  return { found, before: taken() - first };
}

test("what the pod's device takes whole goes there as it is", () => {
  const shape = long(1380);
  const { found, before } = toPod(shape);
  expect([shown(found), before]).toEqual([THERE, 0]);
  expect(ip(found)).toEqual(datagram({ ...shape, ttl: 63 }));
});

test.each<[string, number, number, number]>([
  ["whole", 0, 0, 0],
  ["the first of fragments", MORE, 0, MORE],
  ["a later one", MORE + 100, 100, MORE],
  ["the last one", 100, 100, 0],
  // Some stacks say so of fragments too: they keep what holds them together.
  ["one that may not be cut once more", DONT_FRAGMENT + 100, 100, 0],
])("what it does not take is sent in two halves: %s", (_, fragment, begins, more) => {
  // Behind a first fragment, which says whose they are.
  if (begins > 0) toPod({ ...answer, fragment: MORE });
  const shape = long(1477, { fragment });
  const { found, before } = toPod(shape);
  expect([shown(found), before]).toEqual([THERE, 1]);
  const [half, rest] = [744, 733];
  const second = ip(found);
  expect(second.length).toBe(20 + rest);
  expect(second.readUInt16BE(2)).toBe(20 + rest);
  expect(second.readUInt16BE(4)).toBe(0x1234);
  expect(second.readUInt16BE(6)).toBe(more + begins + half / 8);
  expect(second.subarray(20)).toEqual(datagram(shape).subarray(20 + half));
  expect(wrongSums(found.packet)).not.toContain("ip");
});

test("the first half is no shorter than the second one, whatever the length", () => {
  for (let bytes = 1465; bytes <= 1481; bytes++) {
    const shape = long(bytes);
    const { found, before } = toPod(shape);
    const second = ip(found);
    const half = (second.readUInt16BE(6) & 0x1fff) * 8;
    expect([bytes, shown(found), before, second.length]).toEqual([bytes, THERE, 1, 20 + bytes - half]);
    expect(half).toBeGreaterThanOrEqual(bytes - half);
    expect(second.subarray(20)).toEqual(datagram(shape).subarray(20 + half));
  }
});

test("what may not be in fragments is cut all the same, with an id of its own", () => {
  const ids = [1, 2].map(() => {
    const { found, before } = toPod(long(1480, { fragment: DONT_FRAGMENT, id: 0 }));
    expect([before, ip(found).readUInt16BE(6)]).toEqual([1, 93]);
    return ip(found).readUInt16BE(4);
  });
  expect(ids).not.toEqual([0, 0]);
});

test("what can't be cut goes as it is: behind options, and while nobody knows the pod's hardware address", () => {
  toPod({ ...answer, fragment: MORE });
  const options = long(1480, { fragment: 100, ipOptions: Buffer.from([1, 1, 1, 1]) });
  kernel.ip(`neigh del ${POD.address} dev pod`);
  const unknown = toPod(long(1480));
  kernel.ip(`neigh add ${POD.address} lladdr 02:00:00:00:01:0b dev pod`);
  for (const [{ found, before }, shape] of [
    [toPod(options), options],
    [unknown, long(1480)],
  ] as const) {
    expect([shown(found), before]).toEqual([THERE, 0]);
    expect(ip(found).subarray(20)).toEqual(datagram(shape).subarray(20));
  }
});
