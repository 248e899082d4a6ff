/** IPv4 packets made by hand, as hex, for what no honest kernel sends. */

export interface Ends {
  readonly src: string;
  readonly dst: string;
  readonly sport?: number;
  readonly dport?: number;
}

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

const addressBytes = (address: string): Buffer => Buffer.from(address.split(".").map(Number));

/** `payload` behind an IP header; the kernel fills in a checksum of 0 where it sends the packet itself. */
export function ipPacket(proto: number, { src, dst }: Ends, payload: Buffer, ttl = 64): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt16BE(0x4500, 0);
  head.writeUInt16BE(20 + payload.length, 2);
  head.writeUInt16BE((Date.now() & 0x7fff) + 1, 4);
  head.writeUInt8(ttl, 8);
  head.writeUInt8(proto, 9);
  addressBytes(src).copy(head, 12);
  addressBytes(dst).copy(head, 16);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, payload]);
}

export function tcpPacket(ends: Ends, flags: number, seq = 1000, ack = flags & ACK ? 2000 : 0): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt16BE(ends.sport ?? 0, 0);
  head.writeUInt16BE(ends.dport ?? 0, 2);
  head.writeUInt32BE(seq, 4);
  head.writeUInt32BE(ack, 8);
  head.writeUInt16BE(0x5000 + flags, 12);
  head.writeUInt16BE(1024, 14);
  head.writeUInt16BE(checksum(pseudo(6, ends, head)), 16);
  return ipPacket(6, ends, head);
}

export function udpPacket(ends: Ends, payload: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(ends.sport ?? 0, 0);
  head.writeUInt16BE(ends.dport ?? 0, 2);
  head.writeUInt16BE(8 + payload.length, 4);
  const whole = Buffer.concat([head, payload]);
  whole.writeUInt16BE(checksum(pseudo(17, ends, whole)) || 0xffff, 6);
  return ipPacket(17, ends, whole);
}

/** `rest` = the second four bytes (identifier and sequence, next hop's MTU, gateway). */
export function icmpPacket(
  ends: Ends,
  type: number,
  code: number,
  rest = 0,
  payload: Buffer = Buffer.alloc(16),
): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(type, 0);
  head.writeUInt8(code, 1);
  head.writeUInt32BE(rest, 4);
  const whole = Buffer.concat([head, payload]);
  whole.writeUInt16BE(checksum(whole), 2);
  return ipPacket(1, ends, whole);
}

/** The UDP payload of a tunnel packet: VXLAN header, Ethernet header, `inner`. */
export function vxlan(vni: number, macs: { readonly to: string; readonly from: string }, inner: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(8, 0);
  head.writeUInt32BE(vni * 256, 4);
  const mac = (text: string): Buffer => Buffer.from(text.replaceAll(":", ""), "hex");
  return Buffer.concat([head, mac(macs.to), mac(macs.from), Buffer.from("0800", "hex"), inner]);
}

export const hexOf = (packets: readonly Buffer[]): string[] => packets.map((packet) => packet.toString("hex"));

function pseudo(proto: number, { src, dst }: Ends, segment: Buffer): Buffer {
  const tail = Buffer.from([0, proto, segment.length >> 8, segment.length & 255]);
  return Buffer.concat([addressBytes(src), addressBytes(dst), tail, segment]);
}

function checksum(data: Buffer): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 2) sum += (data[i] ?? 0) * 256 + (data[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
