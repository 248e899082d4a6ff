import { execOk, type Lab, podCall, podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { counted, takePorts } from "./programs";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const SELECTED = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1", "pod-gateway-2-1"];

const HAS_PROGRAMS = process.env.EGW_DATAPATH === "bpf";

/** Packets that a gateway node's conntrack, or its programs, had no place for. */
async function dropped(lab: Lab): Promise<number> {
  if (HAS_PROGRAMS)
    return [...(await counted(lab, "gateway-1"))].reduce(
      (sum, [what, n]) => sum + (/ drop-no-port$/.test(what) ? n : 0),
      0,
    );
  const statistics = await execOk(lab, "gateway-1", ["conntrack", "-S"]);
  return [...statistics.matchAll(/\b(?:insert_failed|drop)=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

scenario(
  "pods with the same ports to one server all work; without a free port nothing leaves untranslated",
  // No senders: the gateway node forgets all connections here.
  { senders: [] },
  async (scene) => {
    const { lab, stack, oracle } = scene;
    const [server] = lab.outside;
    if (!server) throw new Error("a lab without outside");
    oracle.expect(SELECTED, { sources: [EGRESS] });
    const gateway = gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } });
    await stack.up([...fleetOf(lab), gateway, policyOf("policy", "gateway", addressesOf(lab, SELECTED))]);

    const held = await Promise.all(SELECTED.map((pod) => podHold(lab, pod, server.address, { sourcePort: 33_333 })));
    expect(held.map(({ source }) => source)).toEqual(SELECTED.map(() => EGRESS));
    expect(new Set(held.map(({ sport }) => sport)).size).toBe(SELECTED.length);
    expect(await Promise.all(held.map((one) => one.say()))).toEqual(SELECTED.map(() => undefined));
    const datagrams = await Promise.all(
      SELECTED.map((pod) => podCall(lab, pod, server.address, { proto: "udp", sourcePort: 33_333 })),
    );
    expect(datagrams.map(({ source }) => source)).toEqual(SELECTED.map(() => EGRESS));
    await Promise.all(held.map((one) => one.close()));

    // Every port of the egress IP towards one port of the server is taken.
    const busy = { address: server.address, port: 7009 };
    const entry = (port: number) =>
      `-I -p udp -s 10.9.0.1 -d ${busy.address} --sport ${port} --dport ${busy.port} -t 60 -r ${busy.address} -q ${EGRESS} --reply-port-src ${busy.port} --reply-port-dst ${port}`;
    const fill = Array.from({ length: 65_535 }, (_, i) => `${entry(i + 1)}\n`).join("");
    const tries = (sourcePort: number) =>
      Promise.all(
        SELECTED.map(
          async (pod) => (await podCall(lab, pod, busy, { proto: "udp", sourcePort, timeoutMs: 1000 })).error,
        ),
      );
    expect(await tries(40_000)).toEqual(SELECTED.map(() => "refused"));
    await execOk(lab, "gateway-1", ["conntrack", "-F"]);
    if (HAS_PROGRAMS)
      await takePorts(lab, "gateway-1", { egressIP: EGRESS, server: busy.address, port: busy.port, protocol: 17 });
    else await execOk(lab, "gateway-1", ["sh", "-c", "cat | conntrack -R -"], { input: fill });
    const before = await dropped(lab);
    expect(await tries(40_001)).toEqual(SELECTED.map(() => "timeout"));
    expect(await dropped(lab)).toBeGreaterThanOrEqual(before + SELECTED.length);
    // Another server is another matter.
    expect((await podCall(lab, "pod-client-1-1", lab.outside[1]?.address ?? "", { proto: "udp" })).source).toBe(EGRESS);
    if (!HAS_PROGRAMS) await execOk(lab, "gateway-1", ["conntrack", "-D", "-s", "10.9.0.1"]);
    await stack.destroy();
  },
);
