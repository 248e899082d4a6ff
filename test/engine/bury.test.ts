import { spawnSync } from "node:child_process";
import { CUT_FUNCTION } from "../../provider/program/cut";
import { ACK, FIN, RST, SYN, tcpPacket } from "../scenarios/packets";
import { testUnless } from "../setup/skip";
import { ProgramNode } from "./program-node";

const missing = ["conntrack", "ipset", "python3"].find((tool) => spawnSync(tool, ["--version"]).error);
const test = testUnless(missing === undefined ? false : `no ${missing} here`);

const POD = "10.0.1.11";
const OUTSIDE = "203.0.113.9";
/** Port → the set that remembers it: as a cut has them. */
const CUT = { 1001: "egw-cut", 1002: "egw-cut-opening" } as const;

/** Sends a packet by the pod's end of its device, and prints the flags of the answer to that port, if there is one. */
const SEND = `import socket, sys
packet, port = bytes.fromhex(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
s.bind(("pod1", 0x0800)); s.settimeout(0.5)
macs = [bytes.fromhex(open("/sys/class/net/%s/address" % d).read().strip().replace(":", "")) for d in ("veth1", "pod1")]
s.send(macs[0] + macs[1] + b"\\x08\\x00" + packet)
try:
    while True:
        got = s.recv(2000)
        if got[23] == 6 and int.from_bytes(got[36:38], "big") == port: print(got[47]); break
except TimeoutError: print("none")`;

let node: ProgramNode;
beforeAll(async () => {
  if (missing === undefined) node = await ProgramNode.start("192.168.0.101");
});
afterAll(() => node?.stop());

/** Buries what has been cut, and gives what the kernel answers to a packet of the pod, and what it then leaves at the uplink. */
function sent(port: keyof typeof CUT, flags: number): { answer: string; left: string; graves: string } {
  const packet = tcpPacket({ src: POD, dst: OUTSIDE, sport: port, dport: 443 }, flags);
  const members = Object.entries(CUT).map(([one, set]) => `add ${set} ${POD},tcp:${one},${OUTSIDE} comment 443`);
  const [answer = "", graves = "", left = ""] = node
    .must(`ip neigh replace ${POD} lladdr $(cat /sys/class/net/pod1/address) dev veth1; ip neigh replace 192.168.0.1 lladdr 02:00:00:00:00:01 dev eth0
iptables -t nat -F; iptables -t nat -A POSTROUTING -j MASQUERADE; conntrack -F 2>/dev/null; ipset destroy
printf '%s\\n' ${Object.values(CUT)
      .map((set) => `'create ${set} hash:ip,port,ip timeout 1000 counters comment'`)
      .join(" ")} '${members.join("' '")}' | ipset restore
iptables -F FORWARD; iptables -A FORWARD -o eth0
T=$(mktemp -d)
${CUT_FUNCTION}
egw_bury 192.168.0.101
python3 -c '${SEND}' ${packet.toString("hex")} ${port}
conntrack -L -p tcp --sport ${port} 2>/dev/null | wc -l
iptables -nvxL FORWARD | awk '$0 ~ / eth0 / { print $1 }'
rm -r $T`)
    .trim()
    .split("\n");
  return { answer, graves, left };
}

const KINDS = [
  ["an acknowledgement", ACK, RST],
  ["its end", FIN + ACK, RST],
  ["a SYN", SYN, RST + ACK],
] as const;
for (const [what, port] of [
  ["was open", 1001],
  ["was opening", 1002],
] as const)
  for (const [by, flags, answer] of KINDS)
    test(`the kernel answers ${by} of a buried connection that ${what} by a reset, lets nothing out and forgets it`, () => {
      expect(sent(port, flags)).toEqual({ answer: String(answer), graves: "0", left: "0" });
    });
