import { answerKey, tupleKey } from "./answers";
import { type Connection, isReset } from "./connections";
import type { Court } from "./court";
import { type Packet, tcp } from "./packet";

/** Judges a packet on its way to an outside address: on a node's uplink, or beyond the router. */
export function judgeLeaving(court: Court, packet: Packet, where: "uplink" | "outward"): void {
  court.judged += 1;
  const key = tupleKey(packet);
  const known = court.connections.match(packet);
  const connection = known ?? court.tuples.get(key);
  if (packet.about !== undefined) return void judgeError(court, packet, packet.about);
  if (isAnswer(court, packet, key, known)) return;
  court.answers.noteOutward(key);
  if (connection === undefined) judgeStranger(court, packet);
  else {
    if (packet.fragment === 0) court.tuples.set(key, connection);
    if (where === "outward") count(connection, packet);
    judgeSource(court, packet, connection);
  }
}

/** What an outside host began, or a reset of the kernel's own for what an outside host sent. */
function isAnswer(court: Court, packet: Packet, key: string, known: Connection | undefined): boolean {
  const { answers } = court;
  if (answers.isAnswer(key)) return !beginsHere(packet, known);
  if (known !== undefined || !isReset(packet) || court.isPodAddress(packet.src)) return false;
  return answers.wasSpokenTo(key, packet.time);
}

/** A new TCP connection of a pod, on ports on which an outside host had opened one before. */
function beginsHere(packet: Packet, connection: Connection | undefined): boolean {
  return packet.proto === tcp && connection?.isn === packet.seq;
}

function count(connection: Connection, packet: Packet): void {
  const counted = connection.seen.get(packet.src);
  if (counted === undefined) connection.seen.set(packet.src, { packets: 1, first: packet.time, last: packet.time });
  else {
    counted.packets += 1;
    counted.last = packet.time;
  }
}

function judgeSource(court: Court, packet: Packet, connection: Connection): void {
  const { expectations } = court;
  const { pod, dst, begin, source: before, since = packet.time } = connection;
  const { src, time } = packet;
  const fail = (rule: string, why: () => string): void => court.findings.add(rule, packet, pod, connection, why);
  const now = (): ReadonlySet<string> => expectations.allowed(pod, dst, time, time);
  if (before === undefined || (before !== src && startsAnew(court, packet, connection))) {
    const allowed = before === undefined ? expectations.allowed(pod, dst, begin, time) : now();
    Object.assign(connection, { source: src, since: time, wrong: !allowed.has(src) });
    if (!allowed.has(src)) fail("source", () => wrongSource(court, src, allowed));
  } else if (before !== src) {
    const also = now().has(src) ? "" : `, and ${wrongSource(court, src, now())}`;
    fail(`moved from ${before}`, () => `this connection was seen with ${before} before${also}`);
  } else if (connection.wrong) {
    fail("source", () => "");
  } else if (expectations.wasCut(pod, dst, src, since, time)) {
    fail("cut", () => `this connection should have been cut; allowed now: ${print(now())}`);
  }
}

/** A cut can't end a flow that has no connection: what comes after it is a new one. */
function startsAnew(court: Court, packet: Packet, connection: Connection): boolean {
  const { proto, pod, dst, source = "", since = packet.time } = connection;
  return proto !== tcp && court.expectations.wasCutting(pod, dst, source, since, packet.time);
}

function wrongSource(court: Court, source: string, allowed: ReadonlySet<string>): string {
  const what = court.isPodAddress(source) ? "it left with a pod's own address" : `it left with ${source}`;
  return `${what}; allowed then: ${print(allowed)}`;
}

function print(sources: ReadonlySet<string>): string {
  return sources.size === 0 ? "none" : [...sources].sort().join(", ");
}

/** What no pod sent is judged by what is allowed for the nodes themselves. */
function judgeStranger(court: Court, packet: Packet): void {
  court.unattributed += 1;
  const allowed = new Set(
    court.nodes.flatMap((node) => [...court.expectations.allowed(node, packet.dst, packet.time, packet.time)]),
  );
  if (allowed.has(packet.src) && !court.isPodAddress(packet.src)) return;
  const why = (): string => `no pod sent this, and nodes may use: ${print(allowed)}`;
  court.findings.add("stranger", packet, undefined, tupleKey(packet), why);
}

/** An ICMP error may come from a node or the router itself, or from the address that the outside host spoke to. */
function judgeError(court: Court, packet: Packet, about: Packet): void {
  const { answers, expectations } = court;
  const key = answerKey(about);
  if (court.isNodeAddress(packet.src) || court.isRouterAddress(packet.src)) return;
  if (packet.src === about.dst && answers.isAnswer(key)) return;
  if (packet.src === court.tuples.get(key)?.source) return;
  const connection = court.connections.match(packet);
  const pods = connection === undefined ? court.pods : [connection.pod];
  const { dst, time } = packet;
  const allowed = new Set(pods.flatMap((pod) => [...expectations.allowed(pod, dst, time, time)]));
  const answersSomebody = connection !== undefined || answers.wasSpokenTo(key, time);
  if (allowed.has(packet.src) && answersSomebody && !isForeignPodAddress(court, packet.src, pods)) return;
  court.findings.add("error", packet, connection?.pod, connection, () => wrongSource(court, packet.src, allowed));
}

function isForeignPodAddress(court: Court, source: string, pods: readonly string[]): boolean {
  return court.isPodAddress(source) && !pods.includes(court.podAt(source) ?? "");
}
