import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { tunnelMac } from "../../provider/model/mark";
import { execOk, type Lab, podCall, podSendRaw } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { hexOf, udpPacket, vxlan } from "./packets";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const SELECTED = "pod-client-1-1";
const PODS = [SELECTED, "pod-client-1-2", "pod-client-2-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const GATEWAY = "192.168.0.101";
const OTHER_GATEWAY = "192.168.0.102";
const CLIENT = "192.168.0.11";
const HONEST = 99;
const FORGED = 200;

/** Sends packets from a host that has no agent. */
const SEND = `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for line in sys.stdin:
    data = bytes.fromhex(line.strip())
    s.sendto(data, (socket.inet_ntoa(data[16:20]), 0))
`;

async function send(lab: Lab, from: string, packets: readonly Buffer[]): Promise<void> {
  const hasAgent = [...lab.pods, ...lab.outside].some(({ name }) => name === from);
  if (hasAgent) await podSendRaw(lab, from, hexOf(packets));
  else await execOk(lab, from, ["python3", "-c", SEND], { input: hexOf(packets).join("\n") });
}

/** Datagrams that arrived anywhere since then, told by their length: where, and from which address. */
function arrivals(lab: Lab, since: number, isMeant: (bytes: number) => boolean): string[] {
  return [...lab.outside, ...lab.pods].flatMap(({ name, log }) =>
    fs
      .readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .flatMap((line) => {
        const { time, proto, bytes, source } = JSON.parse(line) as {
          time: number;
          proto: string;
          bytes: number;
          source: string;
        };
        return time >= since && proto === "udp" && isMeant(bytes) ? [`${name} from ${source}`] : [];
      }),
  );
}

function addressOf(lab: Lab, host: string): string {
  const pod = lab.pods.find(({ name }) => name === host);
  return pod?.address ?? lab.hosts.find(({ name }) => name === host)?.addresses[0] ?? "";
}

scenario(
  "a forged tunnel packet is neither translated nor delivered, whoever sends it",
  {},
  async ({ lab, stack, change }) => {
    const begin = Date.now() / 1000;
    const [outside] = lab.outside;
    const [pod = "", inside = ""] = addressesOf(lab, [SELECTED, "pod-gateway-1-1"]);
    if (!outside) throw new Error("a lab without outside");
    const gateway = gatewayOf(lab, "gateway", [EGRESS], {
      placement: { [EGRESS]: "gateway-1" },
      of: ["client-1"],
    });
    const enrolled = fleetOf(lab).filter(({ name }) => name !== "client-2");
    const program = [...enrolled, gateway, policyOf("policy", "gateway", [pod])];
    await change([SELECTED], () => stack.up(program), { to: [EGRESS] });
    const mac = (node: string) => tunnelMac(Number(stack.outputs(node).index));

    const datagram = (to: string, bytes: number) =>
      udpPacket({ src: pod, dst: to, sport: 5555, dport: outside.ports.udp }, Buffer.alloc(bytes, bytes));
    /** A datagram of the selected pod as its node sends it through the tunnel, but from any address. */
    const frame = (from: string, to: string, inner: string, bytes: number): Buffer => {
      const macs = { to: mac(to === OTHER_GATEWAY ? "gateway-2" : "gateway-1"), from: mac("client-1") };
      return udpPacket({ src: from, dst: to, sport: 50_000, dport: 4790 }, vxlan(4097, macs, datagram(inner, bytes)));
    };

    // What the pod sends arrives, and so does what its node makes by hand, or the rest would prove nothing.
    await send(lab, SELECTED, [datagram(outside.address, HONEST)]);
    await send(lab, "client-1", [frame(CLIENT, GATEWAY, outside.address, HONEST)]);
    await sleep(100);
    expect(arrivals(lab, begin, (bytes) => bytes === HONEST)).toEqual([
      `outside-1 from ${EGRESS}`,
      `outside-1 from ${EGRESS}`,
    ]);

    const senders = [...PODS, "outside-1", "outside-2", "operator", "client-2"];
    for (const [i, sender] of senders.entries()) {
      // From outside the nodes only the edge of their network can tell a node's address from a borrowed one.
      const sources = PODS.includes(sender) ? [addressOf(lab, sender), CLIENT] : [addressOf(lab, sender)];
      const targets = sender === "client-2" ? [outside.address] : [outside.address, inside];
      const frames = sources.flatMap((from) =>
        [GATEWAY, OTHER_GATEWAY, EGRESS].flatMap((to) => targets.map((inner) => frame(from, to, inner, FORGED + i))),
      );
      await send(lab, sender, frames);
    }
    await sleep(100);
    expect((await podCall(lab, SELECTED, outside.address, { proto: "udp" })).source).toBe(EGRESS);
    expect(arrivals(lab, begin, (bytes) => bytes >= FORGED)).toEqual([]);
    await change([SELECTED], () => stack.destroy(), { established: "cut" });
  },
);
