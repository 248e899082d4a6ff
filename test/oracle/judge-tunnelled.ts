import type { Court } from "./court";
import type { Packet } from "./packet";

/** Judges what a node sends through the tunnel: the packet inside, `inner`. */
export function judgeTunnelled(court: Court, outer: Packet, inner: Packet): void {
  if (!court.isNodeAddress(outer.src)) return; // forged: what becomes of it is judged where it leaves
  court.judged += 1;
  const pod = court.podAt(inner.src);
  const fault = pod === undefined ? answerFault(court, inner) : requestFault(court, pod, inner);
  if (fault === undefined) return;
  court.findings.add(fault, inner, pod ?? court.podAt(inner.dst), inner.sport, () => `tunnelled, ${fault}`);
}

/** What is wrong with a pod's packet in the tunnel. */
function requestFault(court: Court, pod: string, inner: Packet): string | undefined {
  if (court.isInside(inner.dst)) return "though its target is inside the cluster";
  const connections = court.connections.ofPod(pod, inner);
  const isWhole = inner.fragment === 0 && inner.about === undefined;
  if (connections.length === 0 && isWhole) return "but the pod never sent it";
  const begin = connections.at(-1)?.begin ?? inner.time;
  return isSelected(court, pod, inner.dst, begin, inner.time) ? undefined : "but the pod is not selected";
}

/** What is wrong with a packet in the tunnel that comes from no pod: it should be an answer to one. */
function answerFault(court: Court, inner: Packet): string | undefined {
  const pod = court.podAt(inner.dst);
  if (pod === undefined) return "but neither from nor to a pod";
  if (court.isNodeAddress(inner.src) || inner.about !== undefined) return undefined;
  const isExpected = isSelected(court, pod, inner.src, Number.NEGATIVE_INFINITY, inner.time);
  return isExpected ? undefined : "but the pod that it goes to is not selected";
}

/** Whether at any time of a span the pod might show an address that is neither its own nor its node's. */
function isSelected(court: Court, pod: string, target: string, from: number, to: number): boolean {
  const own = court.ownAddresses.get(pod) ?? [];
  return [...court.expectations.allowed(pod, target, from, to)].some((source) => !own.includes(source));
}
