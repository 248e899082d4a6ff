import * as fs from "node:fs";
import { type Packet, parseFrame } from "./packet";

/** A frame as the kernel wrote it down, where it lies in the file. */
export interface Frame {
  readonly point: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly outgoing: boolean;
  /** Length on the wire; what was captured lies from `at` to `end`. */
  readonly length: number;
  readonly at: number;
  readonly end: number;
}

const outgoingType = 4; // PACKET_OUTGOING in linux/if_packet.h

/** Every frame of a file that sniff.py wrote: blocks of struct tpacket_block_desc, version 3. */
export function* framesOf(data: Buffer): Generator<Frame> {
  let at = 0;
  while (at + 8 <= data.length) {
    const point = data.readUInt32LE(at);
    const size = data.readUInt32LE(at + 4);
    const block = at + 8;
    const count = data.readUInt32LE(block + 12);
    let packet = block + data.readUInt32LE(block + 16);
    for (let i = 0; i < count; i++) {
      const start = packet + data.readUInt16LE(packet + 24);
      yield {
        point,
        seconds: data.readUInt32LE(packet + 4),
        nanoseconds: data.readUInt32LE(packet + 8),
        outgoing: data.readUInt8(packet + 48 + 10) === outgoingType,
        length: data.readUInt32LE(packet + 16),
        at: start,
        end: start + data.readUInt32LE(packet + 12),
      };
      packet += data.readUInt32LE(packet);
    }
    at = block + size;
  }
}

/** Every IPv4 packet of a capture, in order of time; at one time the points with a lower number first. */
export function readPackets(file: string): Packet[] {
  const data = fs.readFileSync(file);
  const packets: Packet[] = [];
  for (const { point, seconds, nanoseconds, outgoing, at, end } of framesOf(data)) {
    const packet = parseFrame(data, at, end, { point, outgoing, time: seconds + nanoseconds / 1e9 });
    if (packet !== undefined) packets.push(packet);
  }
  return packets.sort((a, b) => a.time - b.time || a.point - b.point);
}

/** Writes the frames of each capture point to a pcap file, for people. */
export function writePcaps(file: string, directory: string, names: readonly string[]): string[] {
  const data = fs.readFileSync(file);
  const parts = names.map((): Buffer[] => [pcapHead()]);
  for (const frame of framesOf(data)) {
    const head = Buffer.alloc(16);
    [frame.seconds, frame.nanoseconds, frame.end - frame.at, frame.length].forEach((word, i) => {
      head.writeUInt32LE(word, i * 4);
    });
    parts[frame.point]?.push(head, data.subarray(frame.at, frame.end));
  }
  return names.map((name, point) => {
    const path = `${directory}/${name}.pcap`;
    fs.writeFileSync(path, Buffer.concat(parts[point] ?? []));
    return path;
  });
}

/** With nanoseconds, version 2.4, Ethernet. */
function pcapHead(): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b23c4d, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65535, 16);
  head.writeUInt32LE(1, 20);
  return head;
}
