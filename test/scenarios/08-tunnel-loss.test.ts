import { execOk, type Lab, podCall, podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario, usualSource } from "./scenario";

const FIRST = "192.168.0.200";
const SECOND = "192.168.0.201";
/** Each pod with its egress IP, and the way in which its node loses the tunnel. */
const LOSSES = [
  { pod: "pod-client-1-1", egressIP: FIRST, lose: "ip link del egw.vxlan" },
  { pod: "pod-client-2-1", egressIP: FIRST, lose: "ip link set egw.vxlan down" },
  {
    pod: "pod-gateway-1-1",
    egressIP: SECOND,
    lose: "ip rule show | sed -n 's/^5000:.* fwmark/fwmark/p' | while read -r rule; do ip rule del pref 5000 $rule; done",
  },
  {
    pod: "pod-gateway-2-1",
    egressIP: FIRST,
    lose: "ip route show table all proto 38 | sed -n 's/^default .* table \\([0-9]*\\).*/\\1/p' | while read -r table; do ip route del unicast default table $table; done",
  },
];
const PODS = LOSSES.map(({ pod }) => pod);
const podsOf = (address: string): string[] =>
  LOSSES.flatMap(({ pod, egressIP }) => (egressIP === address ? [pod] : []));

async function shows(lab: Lab): Promise<string[]> {
  const target = lab.outside[0]?.address ?? "";
  const calls = await Promise.all(PODS.map((pod) => podCall(lab, pod, target, { timeoutMs: 1000 })));
  return calls.map(({ source, error }) => source ?? String(error));
}

async function loseTunnels(lab: Lab): Promise<void> {
  await Promise.all(
    LOSSES.map(({ pod, lose }) =>
      execOk(lab, lab.pods.find(({ name }) => name === pod)?.node ?? "", ["sh", "-ec", lose]),
    ),
  );
}

scenario(
  "a tunnel that is gone lets nothing out, or new connections by the node where the gateway says so",
  {},
  async (scene) => {
    const { lab, stack, oracle, change } = scene;
    const program = (onTunnelLoss: string) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [FIRST, SECOND], {
        placement: { [FIRST]: "gateway-1", [SECOND]: "gateway-2" },
        onTunnelLoss,
      }),
      policyOf("first", "gateway", addressesOf(lab, podsOf(FIRST)), { egressIP: FIRST }),
      policyOf("second", "gateway", addressesOf(lab, podsOf(SECOND)), { egressIP: SECOND }),
    ];
    const usual = PODS.map((pod) => usualSource(lab, pod));
    const chosen = LOSSES.map(({ egressIP }) => egressIP);
    const select = () => change(podsOf(SECOND), () => stack.up(program("drop")), { to: [SECOND] });
    await change(podsOf(FIRST), select, { to: [FIRST] });
    expect(await shows(lab)).toEqual(chosen);
    await loseTunnels(lab);
    const lost = await shows(lab);
    expect(lost.filter((word) => !["timeout", "unreachable"].includes(word))).toEqual([]);
    await stack.up(program("drop"));
    expect(await shows(lab)).toEqual(chosen);

    await stack.up(program("node-ip"));
    const target = lab.outside[0]?.address ?? "";
    const held = await Promise.all(PODS.map((pod) => podHold(lab, pod, target)));
    for (const { pod, egressIP } of LOSSES) oracle.expect(pod, { sources: [egressIP, usualSource(lab, pod)] });
    await loseTunnels(lab);
    expect(await shows(lab)).toEqual(usual);
    // Those that had begun by the egress IP never go on by another address; programs carry them without the device.
    const said = await Promise.all(held.map((one) => one.say(300)));
    if (process.env.EGW_DATAPATH !== "bpf") expect(said).toEqual(PODS.map(() => expect.any(String)));
    await stack.up(program("node-ip"));
    expect(await shows(lab)).toEqual(chosen);
    await Promise.all(held.map((one) => one.close()));
    await change(PODS, () => stack.destroy(), { established: "cut" });
  },
);
