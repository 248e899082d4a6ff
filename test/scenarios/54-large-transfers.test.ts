import { exec, execOk, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
/** On a client node, on the node that holds the egress IP, on another gateway node. */
const SELECTED = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const BYTES = 10_000_000;
/** Path MTU discovery at either end, as firewalls break it. */
const BLOCK = ["-p", "icmp", "--icmp-type", "fragmentation-needed", "-j", "DROP"];

for (const [mtu, cni] of [
  [1500, "routes"],
  [1500, "overlay"],
  [1400, "routes"],
  [9000, "bridge"],
] as const) {
  const body: Parameters<typeof scenario>[2] = async ({ lab, stack, change }) => {
    const [server] = lab.outside;
    if (!server) throw new Error("a lab without outside");
    const gateway = gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } });
    const program = [...fleetOf(lab), gateway, policyOf("policy", "gateway", addressesOf(lab, SELECTED))];
    await change(SELECTED, () => stack.up(program), { to: [EGRESS] });
    const ends = [...SELECTED, server.name];
    await Promise.all(ends.map((end) => execOk(lab, end, ["iptables", "-I", "INPUT", ...BLOCK])));
    try {
      for (const pod of SELECTED) {
        const options = { proto: "http", timeoutMs: 10_000 } as const;
        const up = await podCall(lab, pod, server.address, { ...options, upload: BYTES });
        const down = await podCall(lab, pod, server.address, { ...options, path: `/bytes/${BYTES}` });
        // Datagrams in fragments, which a path may cut once more.
        await execOk(lab, pod, ["ping", "-c", "3", "-i", "0.2", "-W", "2", "-s", "3000", server.address]);
        expect([pod, up.error, up.received, up.source, down.error, down.bytes]).toEqual([
          pod,
          undefined,
          BYTES,
          EGRESS,
          undefined,
          BYTES,
        ]);
      }
    } finally {
      await Promise.all(ends.map((end) => exec(lab, end, ["iptables", "-D", "INPUT", ...BLOCK])));
    }
    await change(SELECTED, () => stack.destroy(), { established: "cut" });
  };
  scenario(`10 MB go up and down where "fragmentation needed" is lost (MTU ${mtu}, ${cni})`, { mtu, cni }, body);
}
