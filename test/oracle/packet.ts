/** One IPv4 packet as it passed a capture point. */
export interface Packet {
  /** Seconds since the epoch. */
  readonly time: number;
  /** Index of the capture point. */
  readonly point: number;
  /** Sent by the host of the capture point, not received. */
  readonly outgoing: boolean;
  readonly src: string;
  readonly dst: string;
  /** IP protocol number. */
  readonly proto: number;
  /** Ports of TCP and UDP; of an ICMP echo its identifier, as source port. */
  readonly sport: number;
  readonly dport: number;
  /** TCP only. */
  readonly flags: number;
  readonly seq: number;
  /** IP identification, and how far into its datagram a fragment begins. */
  readonly id: number;
  readonly fragment: number;
  /** More fragments follow. */
  readonly more: boolean;
  /** Type and code of ICMP, as type * 256 + code. */
  readonly icmp: number;
  /** The start of what UDP, ICMP (from an echo's sequence number on) or another protocol carries; empty for TCP. */
  readonly payload: string;
  /** The start of the packet that an ICMP error is about, or the one inside the tunnel. */
  readonly about: Packet | undefined;
  readonly tunnelled: Packet | undefined;
}

export const tcp = 6;
export const udp = 17;
export const icmp = 1;
export const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;

/** The UDP port of the tunnel between nodes. */
const tunnelPort = 4790;
const payloadBytes = 40;
const icmpErrors = new Set([3, 4, 5, 11, 12]);

/** Where and when a frame was captured. */
export interface Seen {
  readonly time: number;
  readonly point: number;
  readonly outgoing: boolean;
}

/** Reads an Ethernet frame of which `end` bytes were captured; undefined when it carries no IPv4. */
export function parseFrame(data: Buffer, at: number, end: number, seen: Seen): Packet | undefined {
  if (at + 34 > end || data.readUInt16BE(at + 12) !== 0x0800) return undefined;
  return parsePacket(data, at + 14, end, seen);
}

// One object literal and no closures: this runs some 10,000 times for a second of a run.
function parsePacket(data: Buffer, at: number, end: number, seen: Seen): Packet | undefined {
  if (at + 20 > end) return undefined;
  const words = data.readUInt16BE(at + 6);
  const proto = data[at + 9] ?? 0;
  const fragment = (words & 0x1fff) * 8;
  const body = at + ((data[at] ?? 0) & 15) * 4;
  const isWhole = fragment === 0 && body + 8 <= end;
  const isTcp = proto === tcp && isWhole && body + 14 <= end;
  const hasPorts = isTcp || (proto === udp && isWhole);
  const kind = proto === icmp && isWhole ? data.readUInt16BE(body) : 0;
  const isError = icmpErrors.has(kind >> 8);
  const dport = hasPorts ? data.readUInt16BE(body + 2) : 0;
  const isTunnel = dport === tunnelPort && proto === udp;
  const head = body + (proto === udp ? 8 : proto === icmp ? 6 : 0);
  return {
    time: seen.time,
    point: seen.point,
    outgoing: seen.outgoing,
    src: address(data.readUInt32BE(at + 12)),
    dst: address(data.readUInt32BE(at + 16)),
    proto,
    sport: hasPorts ? data.readUInt16BE(body) : proto === icmp && isWhole && !isError ? data.readUInt16BE(body + 4) : 0,
    dport,
    flags: isTcp ? (data[body + 13] ?? 0) & 0x3f : 0,
    seq: isTcp ? data.readUInt32BE(body + 4) : 0,
    id: data.readUInt16BE(at + 4),
    fragment,
    more: (words & 0x2000) !== 0,
    icmp: kind,
    payload: isTcp || isTunnel || fragment > 0 ? "" : data.toString("latin1", head, Math.min(end, head + payloadBytes)),
    about: isError ? parsePacket(data, body + 8, end, seen) : undefined,
    tunnelled: isTunnel ? parseFrame(data, body + 16, end, seen) : undefined,
  };
}

const addresses = new Map<number, string>();

function address(value: number): string {
  const known = addresses.get(value);
  if (known !== undefined) return known;
  const text = [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join(".");
  addresses.set(value, text);
  return text;
}

/** A packet in one phrase: "10.0.1.11:20017 → 203.0.113.10:7001 tcp [SYN]". */
export function printPacket(packet: Packet): string {
  const { src, dst, sport, dport } = packet;
  switch (packet.proto) {
    case tcp:
      return `${src}:${sport} → ${dst}:${dport} tcp [${printFlags(packet.flags)}]`;
    case udp:
      return packet.fragment > 0 ? `${src} → ${dst} udp fragment` : `${src}:${sport} → ${dst}:${dport} udp`;
    case icmp:
      return `${src} → ${dst} icmp type ${packet.icmp >> 8} code ${packet.icmp & 255}`;
    default:
      return `${src} → ${dst} protocol ${packet.proto}`;
  }
}

function printFlags(flags: number): string {
  const set = Object.entries(flag).filter(([, bit]) => (flags & bit) !== 0);
  return set.map(([name]) => name.toUpperCase()).join(" ") || "none";
}
