import { icmp, type Packet } from "./packet";

const echoRequest = 8 << 8;
/** How soon the answer follows what an outside host sent: a router that must resolve an address first takes 3 s. */
const answerSeconds = 4;

/**
 * What outside hosts sent first: whoever they spoke to answers with the address that was spoken to.
 * Keys are those of packets on their way out (tupleKey), or of the answer to one on its way in (answerKey).
 */
export class Answers {
  private readonly spoken = new Map<string, number>();
  private readonly openedOutside = new Set<string>();
  private readonly openedInside = new Set<string>();

  constructor(private readonly begin: number) {}

  /** A packet on its way in. */
  noteInward(packet: Packet): void {
    if (packet.proto === icmp && packet.icmp !== echoRequest) return;
    const key = answerKey(packet);
    this.spoken.set(key, packet.time);
    if (!this.openedInside.has(key)) this.openedOutside.add(key);
  }

  /** Somebody inside sent first: nothing with these addresses and ports is an answer any more. */
  noteOutward(key: string): void {
    this.openedInside.add(key);
    this.openedOutside.delete(key);
  }

  /** Part of a connection that an outside host opened. */
  isAnswer(key: string): boolean {
    return this.openedOutside.has(key);
  }

  /** Whether an outside host sent something just now that this would answer, or may have, before anybody watched. */
  wasSpokenTo(key: string, time: number): boolean {
    return time - (this.spoken.get(key) ?? this.begin) < answerSeconds;
  }
}

/** A packet's addresses and ports, as outside hosts see them. */
export function tupleKey(packet: Packet): string {
  return `${packet.proto} ${packet.src} ${packet.sport} ${packet.dst} ${packet.dport}`;
}

/** The addresses and ports of the answer to a packet. */
export function answerKey(packet: Packet): string {
  const { proto, src, dst, sport, dport } = packet;
  return proto === icmp ? `${proto} ${dst} ${sport} ${src} 0` : `${proto} ${dst} ${dport} ${src} ${sport}`;
}
