import { decode, encode, write } from "../../provider/kernel/bpf-layout";
import { ago, Kernel, type Programs } from "./kernel";
import { type End, frame, type Shape } from "./packet";

const POD: End = { address: "10.0.1.11", port: 40000 };
const OUTSIDE: End = { address: "203.0.113.9", port: 443 };
const EGRESS = "192.0.2.1";
const NODE = "10.9.0.1";
const OTHER = "10.9.0.101";
const ROUTER = "10.9.0.254";
const packet: Shape = { from: POD, to: OUTSIDE, protocol: "udp", payload: Buffer.from("hello") };
const TUPLE = { source: POD.address, destination: OUTSIDE.address, source_port: POD.port, protocol: 17 } as const;
const tuple = encode("egw_tuple", { ...TUPLE, destination_port: OUTSIDE.port });

let kernel: Kernel;
let programs: Programs;

beforeAll(() => {
  kernel = Kernel.start();
  kernel.ip(`addr add ${EGRESS}/32 dev uplink`);
  kernel.ip(`route add ${POD.address}/32 dev pod`);
  kernel.ip(`neigh add ${OTHER} lladdr 02:00:00:00:09:65 dev uplink`);
});
afterAll(() => kernel.stop());

const u32 = (value: number): Buffer => write("u32", value);

/** As a program notes the way to the outside, of what comes by the uplink, so many seconds ago; less than 0 = now, on however slow a machine. */
function note(seconds: number, { device = "pod", longest = 1500 } = {}): void {
  const key = [write("address", EGRESS), write("address", OUTSIDE.address), u32(kernel.indexOf("uplink"))];
  const way = [write("u64", ago(seconds)), u32(kernel.indexOf(device)), write("address", ROUTER), u32(longest), u32(0)];
  programs.set("egw_ways", Buffer.concat(key), Buffer.concat(way));
}

/** The ways that programs have noted: from, to, and by what and where. */
const noted = () =>
  programs.entries("egw_ways").map(({ key, value }) => ({
    to: [...key.subarray(4, 8)].join("."),
    device: value.readUInt32LE(8),
    next: [...value.subarray(12, 16)].join("."),
    longest: value.readUInt32LE(16),
  }));

describe("on a gateway node", () => {
  beforeEach(() => {
    programs = kernel.load("gateway.bpf.c", { uplink_ifindex: u32(kernel.indexOf("uplink")) });
    const nat = { seen: ago(0), egress_ip: EGRESS, client: OTHER, port: POD.port, state: 0 };
    programs.set("egw_nat_out", tuple, encode("egw_nat", { ...nat, client_mac: "66:26:00:00:00:0b" }));
  });
  const run = () => programs.run("from_client", frame(packet), { device: "uplink" }).counted;

  test("a way is looked up once, and anew when it is old", () => {
    expect(run()).toEqual(["from-client to-outside"]);
    expect(noted()).toEqual([{ to: OUTSIDE.address, device: kernel.indexOf("uplink"), next: ROUTER, longest: 1500 }]);
    note(-5);
    expect(run()).toEqual(["from-client stack-no-route"]);
    note(0.5);
    expect(run()).toEqual(["from-client to-outside"]);
    expect(noted()).toMatchObject([{ device: kernel.indexOf("uplink") }]);
  });

  test("so is that of a packet for which it is too narrow", () => {
    note(-5, { longest: 20 });
    expect(run()).toEqual(["from-client to-outside"]);
  });

  test("a translation is renewed by what is sent, once a second", () => {
    const seen = () => decode("egw_nat", programs.entries("egw_nat_out")[0]?.value ?? Buffer.alloc(32)).seen;
    const first = seen();
    run();
    expect(seen()).toBe(first);
    const old = { seen: ago(5), egress_ip: EGRESS, client: OTHER, port: POD.port, state: 0 };
    programs.set("egw_nat_out", tuple, encode("egw_nat", { ...old, client_mac: "66:26:00:00:00:0b" }));
    run();
    expect(seen()).toBeGreaterThan(ago(1));
  });
});

test("on a client node the way to another node has room for what is around a packet", () => {
  programs = kernel.load("client.bpf.c", {
    tunnel_ifindex: u32(2),
    tunnel_port: write("port", 4790),
    tunnel_mac: write("mac", "66:26:00:00:00:01"),
    node_address: write("address", NODE),
  });
  programs.set("egw_peers", write("address", OTHER), write("mac", "66:26:00:00:00:65"));
  const flow = { seen: ago(0), gateway: OTHER, ifindex: kernel.indexOf("pod"), state: 0 };
  programs.set("egw_flows", tuple, encode("egw_flow", flow));
  const run = () => programs.run("from_pod", frame(packet), { device: "pod" }).counted;
  expect(run()).toEqual(["from-pod to-tunnel"]);
  expect(noted()).toEqual([{ to: OTHER, device: kernel.indexOf("uplink"), next: OTHER, longest: 1500 }]);
  kernel.ip(`route add ${OTHER}/32 dev uplink mtu lock 60`);
  programs.remove("egw_ways", Buffer.concat([write("address", NODE), write("address", OTHER), u32(flow.ifindex)]));
  expect(run()).toEqual(["from-pod to-tunnel-device"]);
  expect(noted()).toEqual([]);
});
