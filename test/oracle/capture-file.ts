import * as fs from "node:fs";
import { type Packet, parseFrame } from "./packet";

/** A frame as the kernel wrote it down, where it lies in the file. */
interface Frame {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly outgoing: boolean;
  /** Length on the wire; what was captured lies from `at` to `end`. */
  readonly length: number;
  readonly at: number;
  readonly end: number;
}

const outgoingType = 4; // PACKET_OUTGOING in linux/if_packet.h

/** A file that sniff.py wrote: blocks of struct tpacket_block_desc, version 3, of many capture points. */
export class CaptureFile {
  private readonly data: Buffer;
  /** Where the blocks of each point begin. */
  private readonly blocks: number[][];

  constructor(file: string, points: number) {
    this.data = fs.readFileSync(file);
    this.blocks = Array.from({ length: points }, () => []);
    for (let at = 0; at + 8 <= this.data.length; at += 8 + this.data.readUInt32LE(at + 4)) {
      this.blocks[this.data.readUInt32LE(at)]?.push(at + 8);
    }
  }

  /** Every IPv4 packet in order of time; where times are equal, that of the point with the lower number first. */
  *packets(): Generator<Packet> {
    const streams = this.blocks.map((_, point) => this.packetsOf(point));
    const heads = streams.map((stream) => stream.next().value);
    for (;;) {
      let first = -1;
      for (let i = 0; i < heads.length; i++) {
        const head = heads[i];
        if (head !== undefined && head.time < (heads[first]?.time ?? Number.POSITIVE_INFINITY)) first = i;
      }
      const packet = heads[first];
      if (packet === undefined) return;
      heads[first] = streams[first]?.next().value;
      yield packet;
    }
  }

  /** Writes what one point saw to a pcap file, for people. */
  writePcap(point: number, file: string): void {
    const parts = [pcapHead()];
    for (const { seconds, nanoseconds, at, end, length } of this.framesOf(point)) {
      parts.push(words(seconds, nanoseconds, end - at, length), this.data.subarray(at, end));
    }
    fs.writeFileSync(file, Buffer.concat(parts));
  }

  private *packetsOf(point: number): Generator<Packet, undefined> {
    for (const { seconds, nanoseconds, outgoing, at, end } of this.framesOf(point)) {
      const packet = parseFrame(this.data, at, end, { point, outgoing, time: seconds + nanoseconds / 1e9 });
      if (packet !== undefined) yield packet;
    }
    return undefined;
  }

  private *framesOf(point: number): Generator<Frame> {
    const { data } = this;
    for (const block of this.blocks[point] ?? []) {
      const count = data.readUInt32LE(block + 12);
      let packet = block + data.readUInt32LE(block + 16);
      for (let i = 0; i < count; i++) {
        const at = packet + data.readUInt16LE(packet + 24);
        yield {
          seconds: data.readUInt32LE(packet + 4),
          nanoseconds: data.readUInt32LE(packet + 8),
          outgoing: data.readUInt8(packet + 48 + 10) === outgoingType,
          length: data.readUInt32LE(packet + 16),
          at,
          end: at + data.readUInt32LE(packet + 12),
        };
        packet += data.readUInt32LE(packet);
      }
    }
  }
}

/** With nanoseconds, version 2.4, Ethernet. */
function pcapHead(): Buffer {
  return words(0xa1b23c4d, 0x00040002, 0, 0, 65535, 1);
}

function words(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    buffer.writeUInt32LE(value, i * 4);
  });
  return buffer;
}
