import { execOk, type Lab, podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const [OLD, NEW] = ["192.168.0.200", "192.168.0.201"] as const;
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];

/** Which nodes have which egress IPs, and whose MAC the router has learned for it. */
async function holders(lab: Lab): Promise<Record<string, string[]>> {
  const has = async (node: string, address: string) =>
    (await execOk(lab, node, ["ip", "-o", "addr", "show", "to", `${address}/32`])) !== "";
  const entries = [OLD, NEW].map(async (address): Promise<[string, string[]]> => {
    const nodes: string[] = [];
    for (const { name } of lab.nodes) if (await has(name, address)) nodes.push(name);
    return [address, nodes];
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function macAtRouter(lab: Lab, address: string): Promise<string | undefined> {
  return / lladdr (\S+)/.exec(await execOk(lab, "router", ["ip", "neigh", "show", address]))?.[1];
}

async function macOf(lab: Lab, node: string): Promise<string> {
  return (await execOk(lab, node, ["cat", "/sys/class/net/eth0/address"])).trim();
}

scenario(
  "an egress IP is changed, then moves to another node, under traffic",
  { senders: PODS, unbroken: true },
  async (scene) => {
    const { lab, stack, change } = scene;
    const program = (address: string, node: string) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [address], { placement: { [address]: node } }),
      policyOf("policy", "gateway", addressesOf(lab, PODS), { established: "cut" }),
    ];
    const holdAll = () => Promise.all(PODS.map((pod) => podHold(lab, pod, "203.0.113.10")));
    await change(PODS, () => stack.up(program(OLD, "gateway-1")), { to: [OLD], established: "cut" });
    expect(await holders(lab)).toEqual({ [OLD]: ["gateway-1"], [NEW]: [] });

    const onOld = await holdAll();
    await change(PODS, () => stack.up(program(NEW, "gateway-1")), { to: [NEW], established: "cut" });
    expect(await holders(lab)).toEqual({ [OLD]: [], [NEW]: ["gateway-1"] });
    expect(await Promise.all(onOld.map((held) => held.say()))).toEqual(PODS.map(() => "reset"));

    const beforeMove = await holdAll();
    await change(PODS, () => stack.up(program(NEW, "gateway-2")), { to: [NEW], established: "cut" });
    expect(await holders(lab)).toEqual({ [OLD]: [], [NEW]: ["gateway-2"] });
    expect(await macAtRouter(lab, NEW)).toBe(await macOf(lab, "gateway-2"));
    expect(await Promise.all(beforeMove.map((held) => held.say()))).toEqual(PODS.map(() => "reset"));

    await change(PODS, () => stack.destroy(), { established: "cut" });
  },
);
