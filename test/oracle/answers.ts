import { icmp, type Packet } from "./packet";

const echoRequest = 8 << 8;
/** How soon the answer follows what an outside host sent. */
const answerSeconds = 2;

/** What outside hosts sent first: whoever they spoke to answers with the address that was spoken to. */
export class Answers {
  private readonly spoken = new Map<string, number>();
  private readonly openedOutside = new Set<string>();
  private readonly openedInside = new Set<string>();

  /** A packet on its way in. */
  noteInward(packet: Packet): void {
    if (packet.proto === icmp && packet.icmp !== echoRequest) return;
    const key = answerKey(packet);
    this.spoken.set(key, packet.time);
    if (!this.openedInside.has(key)) this.openedOutside.add(key);
  }

  /** A packet on its way out that somebody inside began: nothing with its addresses and ports is an answer any more. */
  noteOutward(packet: Packet): void {
    const key = tupleKey(packet);
    this.openedInside.add(key);
    this.openedOutside.delete(key);
  }

  /** Part of a connection that an outside host opened. */
  isAnswer(packet: Packet): boolean {
    return this.openedOutside.has(tupleKey(packet));
  }

  /** An ICMP error about a packet of a connection that an outside host opened, from the address that it spoke to. */
  isAnswerAbout(packet: Packet, about: Packet): boolean {
    return packet.src === about.dst && this.openedOutside.has(answerKey(about));
  }

  /** Whether an outside host sent something to this address and port just now. */
  wasSpokenTo(packet: Packet, about?: Packet): boolean {
    const time = this.spoken.get(about === undefined ? tupleKey(packet) : answerKey(about));
    return time !== undefined && packet.time - time < answerSeconds;
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
