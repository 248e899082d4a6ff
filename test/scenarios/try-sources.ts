import { type Lab, type LabPod, podCall, podSendRaw } from "../lab";
import { hexOf, SYN, tcpPacket } from "./packets";

let port = 20_000;

/**
 * Sends from a pod to the outside in every way in which a packet could slip out: a call, two datagrams of one flow,
 * a SYN that is sent again. Gives the sources that the outside saw.
 */
export async function trySources(lab: Lab, pod: LabPod, timeoutMs = 500): Promise<string[]> {
  const [target] = lab.outside;
  if (!target) throw new Error("a lab without outside");
  const sourcePort = port++;
  const datagram = () => podCall(lab, pod.name, target.address, { proto: "udp", sourcePort, timeoutMs: timeoutMs / 2 });
  const ends = { src: pod.address, dst: target.address, sport: sourcePort, dport: target.ports.tcp };
  const syn = hexOf([tcpPacket(ends, SYN, sourcePort * 65_536)]);
  const twice = async () => [await datagram(), await datagram()];
  const [call, datagrams] = await Promise.all([
    podCall(lab, pod.name, target.address, { timeoutMs }),
    twice(),
    podSendRaw(lab, pod.name, [...syn, ...syn]),
  ]);
  return [call, ...datagrams].flatMap(({ source }) => source ?? []);
}
