import { flag, icmp, type Packet, tcp, udp } from "./packet";

/** One connection as its pod sees it: a TCP connection by its first sequence number, else a flow without long pauses. */
export interface Connection {
  readonly pod: string;
  readonly proto: number;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
  /** When the pod's first packet left the pod, and its last so far. */
  readonly begin: number;
  last: number;
  readonly isn: number | undefined;
  /** Nothing but its SYN was sent so far; or its pod reset it then, and begins anew with the next one, be it the same. */
  opening: "yes" | "no" | "reset";
  /** The source that it must keep: the first that it was seen with when it left the cluster, and since when. */
  source?: string;
  since?: number;
  /** Its source was one that was not allowed. */
  wrong?: boolean;
  /** Packets seen beyond the router, by source. */
  readonly seen: Map<string, SourceCount>;
}

export interface SourceCount {
  packets: number;
  readonly first: number;
  last: number;
}

interface Sent {
  readonly time: number;
  readonly sport: number;
  readonly id: number;
  readonly connection: Connection;
}

/** conntrack forgets a flow without answers after 30 s. */
const flowPause = 30;
/** How long a packet may be on its way through a node. */
const transit = 10;
const lookBack = 64;

/** What pods sent, so that a packet seen elsewhere can be given back to the connection that it belongs to. */
export class Connections {
  private readonly byTuple = new Map<string, Connection[]>();
  private readonly byContent = new Map<string, Sent[]>();

  /** Notes a packet as the pod sent it. */
  sent(pod: string, packet: Packet): Connection {
    const connection =
      packet.fragment > 0 ? (this.match(packet) ?? this.current(pod, packet)) : this.current(pod, packet);
    connection.last = packet.time;
    if (connection.opening === "yes" && !opens(packet)) connection.opening = isReset(packet) ? "reset" : "no";
    const entry = { time: packet.time, sport: packet.sport, id: packet.id, connection };
    for (const key of packet.more ? [contentKey(packet), fragmentKey(packet)] : [contentKey(packet)]) {
      const list = this.byContent.get(key);
      if (list === undefined) this.byContent.set(key, [entry]);
      else list.push(entry);
    }
    return connection;
  }

  /** The connection of which this packet is a part, whatever its source address and port are now. */
  match(packet: Packet): Connection | undefined {
    const list = this.byContent.get(contentKey(packet)) ?? [];
    let best: Sent | undefined;
    for (let i = list.length - 1; i >= Math.max(0, list.length - lookBack); i--) {
      const sent = list[i];
      if (sent === undefined || sent.time < packet.time - transit) break;
      if (best === undefined || score(sent, packet) > score(best, packet)) best = sent;
    }
    return best?.connection;
  }

  /** The connections of a pod that had these ports and this target, oldest first. */
  ofPod(pod: string, packet: Pick<Packet, "proto" | "sport" | "dst" | "dport">): readonly Connection[] {
    return this.byTuple.get(podKey(pod, packet)) ?? [];
  }

  all(): Connection[] {
    return [...this.byTuple.values()].flat();
  }

  private current(pod: string, packet: Packet): Connection {
    const key = podKey(pod, packet);
    const list = this.byTuple.get(key) ?? [];
    const latest = list.at(-1);
    if (latest !== undefined && !isAnother(latest, packet)) return latest;
    const { proto, sport, dst, dport, time } = packet;
    const isn = opens(packet) ? packet.seq : undefined;
    const opening = isn === undefined ? ("no" as const) : ("yes" as const);
    const connection = { pod, proto, sport, dst, dport, begin: time, last: time, isn, opening, seen: new Map() };
    this.byTuple.set(key, [...list, connection]);
    return connection;
  }
}

/** The first packet of a TCP connection. */
export function opens(packet: Packet): boolean {
  return packet.proto === tcp && (packet.flags & (flag.syn | flag.ack | flag.rst | flag.fin)) === flag.syn;
}

export function isReset(packet: Packet): boolean {
  return packet.proto === tcp && (packet.flags & flag.rst) !== 0;
}

function isAnother(latest: Connection, packet: Packet): boolean {
  return opens(packet)
    ? packet.seq !== latest.isn || latest.opening === "reset"
    : packet.proto !== tcp && packet.time - latest.last > flowPause;
}

function score(sent: Sent, packet: Packet): number {
  return (sent.sport === packet.sport ? 2 : 0) + (sent.id === packet.id ? 1 : 0);
}

function podKey(pod: string, packet: Pick<Packet, "proto" | "sport" | "dst" | "dport">): string {
  return `${pod} ${packet.proto} ${packet.sport} ${packet.dst} ${packet.dport}`;
}

/**
 * What no NAT changes of a packet: a sequence number, a payload, the identification of the packet that an error is about.
 * A reset that the node's kernel sends for a connection has the number of a packet of the pod, but is none of the pod.
 */
function contentKey(packet: Packet): string {
  if (packet.fragment > 0) return fragmentKey(packet);
  const { proto, dst, dport } = packet;
  switch (proto) {
    case tcp:
      return `${proto} ${dst} ${dport} ${packet.seq}${isReset(packet) ? " reset" : ""}`;
    case udp:
      return `${proto} ${dst} ${dport} ${packet.payload}`;
    case icmp:
      return packet.about === undefined
        ? `${proto} ${dst} ${packet.icmp} ${packet.payload}`
        : `${proto} ${dst} ${packet.icmp} about ${packet.about.proto} ${packet.about.id}`;
    default:
      return `${proto} ${dst} ${packet.payload}`;
  }
}

function fragmentKey(packet: Packet): string {
  return `fragment ${packet.proto} ${packet.dst} ${packet.id}`;
}
