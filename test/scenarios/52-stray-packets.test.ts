import { execOk, type Lab, type LabPod, podCall, podHold, podSendRaw, startCapture } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { type Ends, hexOf, icmpPacket, ipPacket, tcpPacket, udpPacket } from "./packets";
import { packetsIn } from "./packets-in";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
/** On a client node, on the node that holds the egress IP, on another gateway node. */
const SELECTED = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
let sequence = 1_000_000;

/** Every combination of TCP's eight flags, on ports that nobody uses, and on those of an open connection. */
function everyFlag(ends: Ends, open: Ends): Buffer[] {
  return Array.from({ length: 256 }, (_, flags) => flags).flatMap((flags) => [
    tcpPacket({ ...ends, sport: 20_000 + flags }, flags, sequence++),
    // Outside the window: it does no harm to the connection.
    tcpPacket(open, flags, sequence++),
  ]);
}

/** Answers and errors that nobody asked for; an error tells of a packet of the other side, or of one that was never sent. */
function everyIcmp({ src, dst }: Ends): Buffer[] {
  const about = [
    tcpPacket({ src: dst, dst: src, sport: 7001, dport: 22_222 }, 16, sequence++),
    udpPacket({ src, dst, sport: 22_222, dport: 7002 }, Buffer.alloc(8)),
    udpPacket({ src: dst, dst: "198.51.100.77", sport: 53, dport: 22_222 }, Buffer.alloc(8)),
  ];
  const errors = [3, 4, 5, 11, 12].flatMap((type) =>
    [0, 1, 3, 4].flatMap((code) => about.map((inner) => icmpPacket({ src, dst }, type, code, 1400, inner))),
  );
  const others = [0, 9, 10, 13, 14, 17, 18, 30, 42].map((type) => icmpPacket({ src, dst }, type, 0, sequence++));
  return [...errors, ...others];
}

const otherProtocols = (ends: Ends): Buffer[] =>
  [2, 4, 41, 47, 50, 51, 89, 103, 132, 136, 253].map((proto) => ipPacket(proto, ends, Buffer.alloc(24, sequence++)));

async function stray(lab: Lab, pod: LabPod): Promise<void> {
  const [target] = lab.outside;
  if (!target) throw new Error("a lab without outside");
  const held = await podHold(lab, pod.name, target.address);
  const ends = { src: pod.address, dst: target.address, dport: target.ports.tcp };
  const open = { ...ends, sport: held.localPort };
  await podSendRaw(lab, pod.name, hexOf([...everyFlag(ends, open), ...everyIcmp(ends), ...otherProtocols(ends)]));
  // All nodes forget the connection; what its two ends still say to each other is late.
  await Promise.all(lab.nodes.map(({ name }) => execOk(lab, name, ["conntrack", "-F"])));
  await held.say(200);
  await held.close();
}

scenario(
  "packets of no connection never leave with a pod's or a node's address",
  // No senders: all nodes forget all connections here.
  { senders: [] },
  async ({ lab, stack, oracle }) => {
    oracle.expect(SELECTED, { sources: [EGRESS] });
    const gateway = gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } });
    await stack.up([...fleetOf(lab), gateway, policyOf("policy", "gateway", addressesOf(lab, SELECTED))]);
    const capture = await startCapture(lab, ["router"]);
    for (const pod of lab.pods.filter(({ name }) => SELECTED.includes(name))) await stray(lab, pod);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await capture.stop();
    const outside = lab.outside.map(({ address }) => `dst host ${address}`).join(" or ");
    const left = await packetsIn(capture.files.router ?? "", `(${outside}) and not src host ${EGRESS}`);
    expect(left.slice(0, 10)).toEqual([]);
    for (const pod of SELECTED) expect((await podCall(lab, pod, lab.outside[0]?.address ?? "")).source).toBe(EGRESS);
    await stack.destroy();
  },
);
