/** Of the maps' names and values (EGW_LAYOUT_VERSION): maps of another version are not taken over. */
export const LAYOUT_VERSION = 5;

/** How one member of a struct lies in memory: numbers as the kernel's host has them, addresses and ports in network order. `mac` = `struct egw_mac`. */
export type Member = "u8" | "u32" | "u64" | "address" | "port" | "mac" | `zero${number}`;

type Struct = Readonly<Record<string, Member>>;

/** The structs of bpf/layout.h, with the names of their members. A test compares them with the BTF of the objects. */
export const STRUCTS = {
  egw_policy_key: { prefix_length: "u32", source: "address", destination: "address" },
  egw_policy: { egress_ip: "address", gateway: "address" },
  egw_source_key: { prefix_length: "u32", source: "address" },
  egw_tuple: {
    source: "address",
    destination: "address",
    source_port: "port",
    destination_port: "port",
    protocol: "u8",
    zero: "zero3",
  },
  egw_flow: { seen: "u64", gateway: "address", ifindex: "u32", state: "u8", zero: "zero7" },
  egw_opening: { seen: "u64", ifindex: "u32", zero: "zero4" },
  egw_nat: {
    seen: "u64",
    egress_ip: "address",
    client: "address",
    port: "port",
    state: "u8",
    zero: "zero1",
    client_mac: "mac",
    tail: "zero4",
  },
  egw_connection: {
    seen: "u64",
    gateway: "address",
    ifindex: "u32",
    begun: "u8",
    kind: "u8",
    sides: "u8",
    state: "u8",
    zero: "zero4",
  },
} as const satisfies Readonly<Record<string, Struct>>;

export type StructName = keyof typeof STRUCTS;

type ValueOf<M extends Member> = M extends "u8" | "u32" | "port" ? number : M extends "u64" ? bigint : string;

/** Members by name, without those that are always zero. */
export type Values<N extends StructName> = {
  readonly [K in keyof (typeof STRUCTS)[N] as (typeof STRUCTS)[N][K] extends `zero${number}` ? never : K]: ValueOf<
    (typeof STRUCTS)[N][K] & Member
  >;
};

/** A policy's gateway where there is none: what is selected is dropped. */
export const GATEWAY_NONE = "0.0.0.0";
/** A policy's gateway where the destination is an excluded network. */
export const GATEWAY_EXCLUDED = "0.0.0.1";

/** Bits of what has been seen of a connection (`enum egw_nat_state`). */
export const NAT_STATE = { answered: 1, fin_out: 2, fin_in: 4, reset: 8, lasting: 16, closed: 32 } as const;

/** What a device's pod is to gateway pods (`enum egw_egress`), the constant `egress_flags`. Never both: the verifier refuses that. */
export const EGRESS_FLAGS = { client: 1, gateway: 2 } as const;

/** The kinds of connections around a gateway pod (`enum egw_kind`) that seed 000 tells apart. */
export const CONNECTION_KINDS = { "CT-A": 1, "CT-B": 2, "CT-C": 3 } as const;

/** What programs say of a packet in the class of its mark: its source may come by this device; and conntrack is to let it alone. */
export const MARK_SKIP_RPF = 0x16000000;
export const MARK_UNTRACKED = 0x17000000;

/** The programs, in the order of `enum egw_hook`. */
export const HOOKS = [
  "from-pod",
  "to-tunnel",
  "from-gateway",
  "from-client",
  "from-outside",
  "to-outside",
  "uplink-client",
  "uplink-gateway",
  "from-workload",
  "to-workload",
  "from-network",
  "to-network",
] as const;

/** The ways out of a program, in the order of `enum egw_verdict`. */
export const VERDICTS = [
  "not-ipv4",
  "not-selected",
  "excluded",
  "to-tunnel",
  "to-tunnel-device",
  "to-pod",
  "to-outside",
  "connection-hit",
  "connection-new",
  "stack-options",
  "stack-fragment",
  "stack-protocol",
  "stack-too-big",
  "stack-mid-flow",
  "stack-unknown-flow",
  "stack-no-route",
  "stack-ttl",
  "stack-other-device",
  "stack-own-node",
  "stack-no-gateway",
  "stack-one-way",
  "drop-short",
  "drop-no-gateway",
  "drop-no-egress-ip",
  "drop-not-admitted",
  "drop-no-port",
  "drop-map-full",
  "drop-port-taken",
  "drop-other-source",
] as const;

export type ObjectName = "client" | "gateway" | "connections";

/** A map as `bpftool map create` takes it; `key` and `value` in bytes. */
export interface MapShape {
  readonly type: "lpm_trie" | "lru_hash" | "hash" | "percpu_array" | "ringbuf";
  readonly key: number;
  readonly value: number;
  readonly entries: number;
  readonly flags: number;
  /** The objects whose programs use it. */
  readonly programs: readonly ObjectName[];
}

const ALL: readonly ObjectName[] = ["client", "gateway", "connections"];
/** BPF_F_NO_PREALLOC, without which the kernel makes no trie. */
const NO_PREALLOC = 1;

/** The maps by name. */
export const MAPS: Readonly<Record<string, MapShape>> = {
  egw_policies: { type: "lpm_trie", key: 12, value: 8, entries: 262144, flags: NO_PREALLOC, programs: ALL },
  egw_sources: { type: "lpm_trie", key: 8, value: 4, entries: 262144, flags: NO_PREALLOC, programs: ALL },
  egw_flows: { type: "lru_hash", key: 16, value: 24, entries: 262144, flags: 0, programs: ["client"] },
  egw_openings: { type: "lru_hash", key: 16, value: 16, entries: 16384, flags: 0, programs: ["client"] },
  egw_peers: { type: "hash", key: 4, value: 8, entries: 16384, flags: 0, programs: ["client"] },
  egw_underlays: { type: "hash", key: 8, value: 4, entries: 16384, flags: 0, programs: ["client"] },
  egw_nat_out: { type: "lru_hash", key: 16, value: 32, entries: 262144, flags: 0, programs: ["gateway"] },
  egw_nat_in: { type: "lru_hash", key: 16, value: 16, entries: 262144, flags: 0, programs: ["gateway"] },
  egw_fleet: { type: "hash", key: 4, value: 4, entries: 16384, flags: 0, programs: ["gateway"] },
  egw_egress_ips: { type: "hash", key: 4, value: 4, entries: 4096, flags: 0, programs: ["gateway"] },
  egw_pieces: { type: "lru_hash", key: 12, value: 24, entries: 16384, flags: 0, programs: ALL },
  egw_ways: { type: "lru_hash", key: 12, value: 24, entries: 16384, flags: 0, programs: ["client", "gateway"] },
  egw_half: { type: "percpu_array", key: 4, value: 2048, entries: 1, flags: 0, programs: ["client"] },
  egw_connections: { type: "lru_hash", key: 16, value: 24, entries: 262144, flags: 0, programs: ["connections"] },
  egw_pods: { type: "hash", key: 4, value: 4, entries: 16384, flags: 0, programs: ["connections"] },
  egw_trace: { type: "ringbuf", key: 0, value: 0, entries: 65536, flags: 0, programs: ["connections"] },
  egw_verdicts: {
    type: "percpu_array",
    key: 4,
    value: 8,
    entries: HOOKS.length * VERDICTS.length,
    flags: 0,
    programs: ALL,
  },
};

const mapsOf = (object: ObjectName): string[] =>
  Object.keys(MAPS).filter((name) => MAPS[name]?.programs.includes(object));

/** The objects: their programs, and the maps that these use. */
export const OBJECTS: Readonly<
  Record<ObjectName, { readonly programs: readonly string[]; readonly maps: readonly string[] }>
> = {
  client: { programs: ["from_pod", "to_tunnel", "from_gateway", "uplink_client"], maps: mapsOf("client") },
  gateway: { programs: ["from_client", "from_outside", "to_outside", "uplink_gateway"], maps: mapsOf("gateway") },
  connections: {
    programs: ["from_workload", "to_workload", "from_network", "to_network"],
    maps: mapsOf("connections"),
  },
};

const SIZES = { u8: 1, u32: 4, u64: 8, address: 4, port: 2, mac: 8 } as const;

/** Bytes of a member. */
export const sizeOf = (member: Member): number =>
  member.startsWith("zero") ? Number(member.slice("zero".length)) : SIZES[member as keyof typeof SIZES];

const membersOf = (name: StructName): [string, Member][] => Object.entries(STRUCTS[name]);

/** Each member with its place: as the compiler puts them, since none needs padding. */
export function offsetsOf(name: StructName): { readonly member: string; readonly type: Member; readonly at: number }[] {
  let at = 0;
  return membersOf(name).map(([member, type]) => {
    const found = { member, type, at };
    at += sizeOf(type);
    return found;
  });
}

/** The place of each member, of a struct that begins at byte `from`. */
export function placesOf<N extends StructName>(
  name: N,
  from: number,
): Readonly<Record<keyof (typeof STRUCTS)[N], number>> {
  const places = offsetsOf(name).map(({ member, at }) => [member, from + at]);
  return Object.fromEntries(places) as Record<keyof (typeof STRUCTS)[N], number>;
}

/** The bytes of a struct, on a little-endian host, which all that run our objects are. */
export const encode = <N extends StructName>(name: N, values: Values<N>): Buffer =>
  Buffer.concat(membersOf(name).map(([member, type]) => write(type, (values as Record<string, unknown>)[member])));

export function decode<N extends StructName>(name: N, bytes: Buffer): Values<N> {
  const values = offsetsOf(name)
    .filter(({ type }) => !type.startsWith("zero"))
    .map(({ member, type, at }) => [member, read(type, bytes.subarray(at, at + sizeOf(type)))]);
  return Object.fromEntries(values) as Values<N>;
}

/** The bytes of one member. */
export function write(type: Member, value: unknown): Buffer {
  const bytes = Buffer.alloc(sizeOf(type));
  if (type === "u8") bytes.writeUInt8(value as number);
  else if (type === "u32") bytes.writeUInt32LE(value as number);
  else if (type === "u64") bytes.writeBigUInt64LE(value as bigint);
  else if (type === "port") bytes.writeUInt16BE(value as number);
  else if (type === "address") bytes.set((value as string).split(".").map(Number));
  else if (type === "mac") bytes.set((value as string).split(":").map((byte) => Number.parseInt(byte, 16)));
  return bytes;
}

function read(type: Member, bytes: Buffer): unknown {
  switch (type) {
    case "u8":
      return bytes.readUInt8();
    case "u32":
      return bytes.readUInt32LE();
    case "u64":
      return bytes.readBigUInt64LE();
    case "port":
      return bytes.readUInt16BE();
    case "address":
      return [...bytes].join(".");
    default:
      return [...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  }
}
