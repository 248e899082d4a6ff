/** One side of a packet: an address and a port, or an echo id. */
export interface End {
  readonly address: string;
  readonly port: number;
}

export interface Shape {
  readonly from: End;
  readonly to: End;
  readonly protocol: "tcp" | "udp" | "icmp" | "gre";
  readonly flags?: readonly ("FIN" | "SYN" | "RST" | "PSH" | "ACK")[];
  readonly payload?: Buffer;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  /** Flags and offset of a fragment (RFC 791). */
  readonly fragment?: number;
  readonly ipOptions?: Buffer;
  readonly tcpOptions?: Buffer;
  /** 8 unless given: an echo request. */
  readonly icmpType?: number;
  /** Of an ICMP error: the packet that it quotes, from its IP header on. */
  readonly quote?: Buffer;
  readonly noChecksum?: boolean;
  readonly macs?: { readonly from: string; readonly to: string };
}

export const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, gre: 47 } as const;
const FLAGS = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;
export const ETHERNET = 14;

/** Options that say nothing, and such as say by whom a packet goes (RFC 791): loosely, and strictly, behind others. */
export const NOTHING = Buffer.from([1, 1, 1, 1]);
export const SOURCE_ROUTES = [
  [131, 3, 4, 0],
  [1, 137, 7, 4, 192, 0, 2, 77],
  [7, 7, 8, 10, 131, 0, 1, 131, 3, 4, 0, 0],
  [1, 68, 8, 9, 0, 0, 0, 137, 1, 137, 3, 4],
].map((bytes) => Buffer.from(bytes));
/** What routers have recorded, as `ping -R` and `ping -T` ask for it, in which an address or a time has bytes of source routes. */
export const RECORDS = [
  [1, 7, 7, 8, 10, 131, 0, 1],
  [7, 11, 12, 10, 137, 0, 1, 10, 131, 0, 2, 0],
  [68, 12, 13, 0, 2, 131, 137, 1, 0, 137, 131, 131],
  [1, 68, 39, 40, 0, ...Array<number>(35).fill(137)],
].map((bytes) => Buffer.from(bytes));
/** Such as are no options: shorter than themselves, or longer than the header. */
export const UNREADABLE = [
  [7, 1, 4, 0],
  [68, 0, 4, 0],
  [1, 7, 4, 0],
  [7, 5, 4, 0],
].map((bytes) => Buffer.from(bytes));

const address = (text: string): Buffer => Buffer.from(text.split(".").map(Number));
const mac = (text: string): Buffer => Buffer.from(text.replaceAll(":", ""), "hex");
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

/** RFC 1071. */
export function sum(bytes: Buffer): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

/** An Ethernet frame with right checksums. */
export function frame(shape: Shape): Buffer {
  const { from = "02:00:00:00:00:01", to = "02:00:00:00:00:02" } = shape.macs ?? {};
  return Buffer.concat([mac(to), mac(from), u16(0x0800), datagram(shape)]);
}

export function datagram(shape: Shape): Buffer {
  const { from, to, protocol, ttl = 64, tos = 0, id = 0x1234, fragment = 0, ipOptions = Buffer.alloc(0) } = shape;
  const body = segment(shape);
  const header = Buffer.concat([
    Buffer.from([0x40 | (5 + ipOptions.length / 4), tos]),
    u16(20 + ipOptions.length + body.length),
    u16(id),
    u16(fragment),
    Buffer.from([ttl, PROTOCOLS[protocol], 0, 0]),
    address(from.address),
    address(to.address),
    ipOptions,
  ]);
  u16(sum(header)).copy(header, 10);
  return Buffer.concat([header, body]);
}

function segment(shape: Shape): Buffer {
  const { from, to, protocol, flags = ["SYN"], payload = Buffer.alloc(0), tcpOptions = Buffer.alloc(0) } = shape;
  const ports = Buffer.concat([u16(from.port), u16(to.port)]);
  if (protocol === "tcp") {
    const bits = flags.reduce((all, flag) => all | FLAGS[flag], 0);
    const offset = (5 + tcpOptions.length / 4) << 4;
    const head = Buffer.from([0, 0, 0, 1, 0, 0, 0, 2, offset, bits, 0x10, 0, 0, 0, 0, 0]);
    return summed(Buffer.concat([ports, head, tcpOptions, payload]), 16, pseudo(shape));
  }
  if (protocol === "gre") return Buffer.concat([Buffer.from([0, 0, 8, 0]), payload]);
  if (protocol === "udp") {
    const datagramOf = Buffer.concat([ports, u16(8 + payload.length), u16(0), payload]);
    return shape.noChecksum ? datagramOf : summed(datagramOf, 6, pseudo(shape));
  }
  const { icmpType = 8, quote } = shape;
  const id = icmpType === 8 ? from.port : to.port;
  const rest = quote ? Buffer.concat([Buffer.alloc(4), quote]) : Buffer.concat([u16(id), u16(7), payload]);
  return summed(Buffer.concat([Buffer.from([icmpType, quote && icmpType === 3 ? 3 : 0, 0, 0]), rest]), 2, () =>
    Buffer.alloc(0),
  );
}

const pseudo =
  ({ from, to, protocol }: Shape) =>
  (length: number): Buffer =>
    Buffer.concat([address(from.address), address(to.address), Buffer.from([0, PROTOCOLS[protocol]]), u16(length)]);

function summed(bytes: Buffer, at: number, before: (length: number) => Buffer): Buffer {
  const found = sum(Buffer.concat([before(bytes.length), bytes]));
  // UDP: 0 stands for none (RFC 768).
  u16(found === 0 && at === 6 ? 0xffff : found).copy(bytes, at);
  return bytes;
}

/** What is wrong with the checksums of a frame; worked out from the bytes alone. */
export function wrongSums(bytes: Buffer): string[] {
  return datagramFaults(bytes.subarray(ETHERNET), "");
}

function datagramFaults(bytes: Buffer, where: string): string[] {
  const length = ((bytes[0] ?? 0) & 0xf) * 4;
  const faults = sum(bytes.subarray(0, length)) === 0 ? [] : [`${where}ip`];
  const body = bytes.subarray(length, bytes.readUInt16BE(2));
  const protocol = bytes[9] ?? 0;
  const head = Buffer.concat([bytes.subarray(12, 20), Buffer.from([0, protocol]), u16(body.length)]);
  const isWhole = body.length === bytes.readUInt16BE(2) - length;
  if (protocol === PROTOCOLS.icmp) {
    const isError = [3, 11, 12].includes(body[0] ?? 0);
    return [
      ...faults,
      ...(sum(body) === 0 || !isWhole ? [] : [`${where}icmp`]),
      ...(isError ? datagramFaults(body.subarray(8), `${where}quoted `) : []),
    ];
  }
  const isUnsummed = protocol === PROTOCOLS.udp && body.readUInt16BE(6) === 0;
  return [
    ...faults,
    ...(!isWhole || isUnsummed || sum(Buffer.concat([head, body])) === 0 ? [] : [`${where}${protocol}`]),
  ];
}
