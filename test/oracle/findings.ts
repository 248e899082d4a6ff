import { type Packet, printPacket } from "./packet";

/** Something that an instant of the run is told by: a scenario's own words. */
export interface Mark {
  /** Seconds since the oracle's start. */
  readonly at: number;
  readonly text: string;
}

interface Finding {
  readonly packet: Packet;
  readonly who: string | undefined;
  readonly why: string;
  readonly points: Set<number>;
  readonly connections: Set<unknown>;
  packets: number;
  last: number;
}

/** What was found wrong: packets that are wrong in the same way become one sentence. */
export class Findings {
  private readonly found = new Map<string, Finding>();

  /** `rule` and the packet's addresses say what counts as the same; `why` is built for the first of a kind only. */
  add(rule: string, packet: Packet, who: string | undefined, connection: unknown, why: () => string): void {
    const key = [rule, who, packet.src, packet.dst, packet.proto].join(" ");
    const known = this.found.get(key);
    if (known === undefined) {
      const sets = { points: new Set([packet.point]), connections: new Set([connection]) };
      this.found.set(key, { packet, who, why: why(), ...sets, packets: 1, last: packet.time });
      return;
    }
    known.points.add(packet.point);
    known.connections.add(connection);
    known.packets += 1;
    known.last = packet.time;
  }

  /** One sentence for each kind, in order of time. */
  sentences(start: number, points: readonly string[], marks: readonly Mark[]): string[] {
    return [...this.found.values()].map((finding) => {
      const { packet, who, why, packets, connections } = finding;
      const [first, ...others] = [...finding.points].map((point) => points[point] ?? "?");
      const more = [
        packets > 1
          ? `${packets} such packets of ${connections.size} connection(s) until ${printTime(finding.last - start)}`
          : "",
        others.length > 0 ? `also at ${others.join(", ")}` : "",
        nearestMarks(packet.time - start, marks),
      ];
      const subject = `${printTime(packet.time - start)} ${first}: ${printPacket(packet)}${who === undefined ? "" : ` of ${who}`}`;
      return [`${subject}: ${why}`, ...more.filter((part) => part !== "")].join("; ");
    });
  }
}

/** "+1.234s". */
export function printTime(seconds: number): string {
  return `${seconds < 0 ? "-" : "+"}${Math.abs(seconds).toFixed(3)}s`;
}

/** The mark before and the one after an instant. */
export function nearestMarks(at: number, marks: readonly Mark[]): string {
  const print = (word: string, mark: Mark | undefined): string[] =>
    mark === undefined ? [] : [`${word} ${JSON.stringify(mark.text)} ${printTime(mark.at)}`];
  const before = marks.findLast((mark) => mark.at <= at);
  const after = marks.find((mark) => mark.at > at);
  return [...print("after", before), ...print("before", after)].join(", ");
}
