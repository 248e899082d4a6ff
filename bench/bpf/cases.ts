import { connectionConstants, type Role } from "../../provider/compile/bpf-connections";
import { CONNECTION_KINDS, EGRESS_FLAGS, encode, write } from "../../provider/kernel/bpf-layout";
import { tunnelMac } from "../../provider/model/mark";
import { ago, hex, type Kernel } from "../../test/bpf/kernel";
import { datagram, ETHERNET, frame, type Shape } from "../../test/bpf/packet";
import { NODES } from "../../test/unit/reconcile/states";
import { DESTINATION, sourceAt } from "./claims";
import type { Loaded } from "./loaded";

const EGRESS = "192.0.2.1";
const { "client-1": CLIENT, "gateway-1": GATEWAY } = NODES;
const TUNNEL = { port: 4790, vni: 4097 };
/** From the frame's begin: what stands before a tunnelled packet, and where addresses and ports are in an IP header without options. */
const OUTER = 50;
const SOURCE_AT = ETHERNET + 12;
const PORT_AT = ETHERNET + 20;

/** A packet for a program, what differs from run to run, and what the program has to answer. */
export interface Case {
  readonly name: string;
  readonly program: string;
  /** Where its object is not loaded under its own name. */
  readonly as?: string;
  readonly packet: Buffer;
  readonly device: "pod" | "uplink";
  readonly answer: "redirect" | "unspec";
  /** Words for test-run.c. */
  readonly varied?: (entries: number) => readonly (string | number)[];
  /** Of a program that looks for a policy: what its time depends on as these get more. */
  readonly bound?: string;
}

/** What costs a program no more than a glance. */
export const NOTHING = "not IPv4";

/** The node's addresses, and the pod that all cases are about. */
export function prepare(kernel: Kernel): void {
  kernel.ip(`addr add ${CLIENT.underlay}/24 dev uplink`);
  kernel.ip(`addr add ${EGRESS}/32 dev uplink`);
  kernel.ip(`route add ${sourceAt(0)}/32 dev pod`);
}

/** All objects, a flow of the pod by the client's, and a connection of it by a gateway pod. */
export function loadAll(kernel: Kernel, loaded: Loaded): void {
  const constants = {
    tunnel_ifindex: write("u32", kernel.indexOf("uplink")),
    tunnel_port: write("port", TUNNEL.port),
  };
  const ofNode = ({ index, underlay }: { readonly index: number; readonly underlay: string }) => ({
    ...constants,
    tunnel_mac: write("mac", tunnelMac(index)),
    node_address: write("address", underlay),
  });
  loaded.load("client", ofNode(CLIENT));
  loaded.load("gateway", { ...ofNode(GATEWAY), uplink_ifindex: write("u32", kernel.indexOf("uplink")) });
  loaded.load("connections", connectionsOf({}));
  loaded.load("connections", connectionsOf({ isClient: true }), OF_POD);
  const set = (map: string, key: Buffer, value: Buffer): void =>
    void kernel.run(
      "bpftool",
      "map",
      "update",
      "pinned",
      loaded.mapPin(map),
      "key",
      ...hex(key),
      "value",
      ...hex(value),
    );
  const seen = ago(0);
  const ends = { source: sourceAt(0), destination: DESTINATION, source_port: KNOWN, destination_port: 443 };
  set(
    "egw_flows",
    encode("egw_tuple", { ...ends, protocol: 17 }),
    encode("egw_flow", { seen, gateway: GATEWAY.underlay, ifindex: kernel.indexOf("pod"), state: 0 }),
  );
  set("egw_pods", write("address", GATEWAY_POD), write("u32", 1));
  set(
    "egw_connections",
    encode("egw_tuple", { ...ends, source_port: BY_POD, protocol: 17 }),
    encode("egw_connection", {
      seen,
      gateway: GATEWAY_POD,
      ifindex: kernel.indexOf("pod"),
      begun: EGRESS_FLAGS.client,
      kind: CONNECTION_KINDS["CT-A"],
      sides: 3,
      state: 0,
    }),
  );
}

const connectionsOf = (role: Role): Record<string, Buffer> =>
  Object.fromEntries(
    Object.entries(connectionConstants({ fleet: { tunnelPort: TUNNEL.port } }, role)).map(([name, { type, value }]) => [
      name,
      write(type, value),
    ]),
  );

const KNOWN = 40000;
const UNKNOWN = 41000;
/** Of a connection by a gateway pod, and the folder of the programs on its client's device. */
const BY_POD = 42000;
const GATEWAY_POD = "10.0.2.20";
const OF_POD = "connections-client";
const outwards = (port: number): Shape => ({
  from: { address: sourceAt(0), port },
  to: { address: DESTINATION, port: 443 },
  protocol: "udp",
  payload: Buffer.alloc(64),
  noChecksum: true,
});
const answerTo = (address: string, port = KNOWN): Shape => ({
  ...outwards(0),
  from: outwards(0).to,
  to: { address, port },
});

/** In the order in which they are run: what one leaves in the maps the next ones find. */
export function cases(): Case[] {
  const notIPv4 = Buffer.from(frame(outwards(KNOWN)));
  notIPv4.writeUInt16BE(0x86dd, ETHERNET - 2);
  const ports = (at: number) => (): readonly (string | number)[] => ["ports", at];
  const toGateway = frame({
    ...outwards(UNKNOWN),
    macs: { from: tunnelMac(CLIENT.index), to: tunnelMac(GATEWAY.index) },
  });
  const anySource = (entries: number) => ["sources", SOURCE_AT, Buffer.from([10, 64, 0, 0]).readUInt32BE(), entries];
  const unknown = { packet: frame(outwards(UNKNOWN)), device: "pod", answer: "unspec" } as const;
  const known = { device: "uplink", answer: "redirect" } as const;
  const out = tunnelled(outwards(KNOWN), CLIENT, GATEWAY);
  const asked = { packet: frame(outwards(BY_POD)), answer: "unspec" } as const;
  const answered = { packet: frame(answerTo(sourceAt(0), BY_POD)), answer: "unspec" } as const;
  const policy = { bound: "depth of the trie" } as const;
  return [
    { name: NOTHING, program: "from_pod", ...unknown, packet: notIPv4 },
    {
      name: "client from_pod, known flow",
      program: "from_pod",
      ...known,
      packet: frame(outwards(KNOWN)),
      device: "pod",
    },
    { name: "client from_pod, no flow: policy", program: "from_pod", ...unknown, ...policy },
    {
      name: "same, any source of all",
      program: "from_pod",
      ...unknown,
      bound: "the trie, another way down each run",
      varied: anySource,
    },
    {
      name: "client to_tunnel, new flow",
      program: "to_tunnel",
      ...unknown,
      ...policy,
      packet: toGateway,
      device: "uplink",
      varied: ports(PORT_AT),
    },
    {
      name: "client uplink_client, answer",
      program: "uplink_client",
      ...known,
      packet: tunnelled(answerTo(sourceAt(0)), GATEWAY, CLIENT),
    },
    {
      name: "gateway uplink_gateway, new",
      program: "uplink_gateway",
      ...known,
      ...policy,
      packet: out,
      varied: ports(PORT_AT + OUTER),
    },
    { name: "gateway uplink_gateway, known", program: "uplink_gateway", ...known, packet: out },
    { name: "gateway from_client, known", program: "from_client", ...known, packet: frame(outwards(KNOWN)) },
    {
      name: "client from_gateway, of no flow",
      program: "from_gateway",
      ...unknown,
      packet: frame(answerTo(sourceAt(0), UNKNOWN)),
      device: "uplink",
    },
    { name: "gateway from_outside, answer", program: "from_outside", ...known, packet: frame(answerTo(EGRESS)) },
    { name: "pod's machine from_workload, known", program: "from_workload", ...asked, as: OF_POD, device: "pod" },
    { name: "pod's machine to_workload, known", program: "to_workload", ...answered, as: OF_POD, device: "pod" },
    { name: "pod's machine from_network, known", program: "from_network", ...answered, device: "uplink" },
    { name: "pod's machine to_network, known", program: "to_network", ...asked, device: "uplink" },
  ];
}

type End = (typeof NODES)[keyof typeof NODES];

/** As one node's programs send a packet to another node (RFC 7348). */
function tunnelled(shape: Shape, from: End, to: End): Buffer {
  const inner = Buffer.concat([
    frame({ ...shape, macs: { from: tunnelMac(from.index), to: tunnelMac(to.index) } }).subarray(0, ETHERNET),
    datagram(shape),
  ]);
  const vxlan = Buffer.from([8, 0, 0, 0, TUNNEL.vni >> 16, (TUNNEL.vni >> 8) & 255, TUNNEL.vni & 255, 0]);
  return frame({
    from: { address: from.underlay, port: 50000 },
    to: { address: to.underlay, port: TUNNEL.port },
    protocol: "udp",
    payload: Buffer.concat([vxlan, inner]),
    noChecksum: true,
  });
}
