import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario, usualSource } from "./scenario";
import { shown } from "./shown";

const EGRESS = "192.168.0.200";
const HOLDER = "gateway-1";
/** On other nodes than the one that has the egress IP. */
const SELECTED = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-2-1"];
const OTHER = "pod-client-1-2";

/** Weave's chain in the place of the lab's own masquerading, as Weave writes it for a range of pods; its jump stands last. */
const weave = (pods: string): string => `
ipset create weaver-no-masq-local hash:ip
iptables -t nat -N WEAVE
iptables -t nat -A WEAVE -m set --match-set weaver-no-masq-local dst -m comment --comment "Prevent SNAT to locally running containers" -j RETURN
iptables -t nat -A WEAVE -s ${pods} -d 224.0.0.0/4 -j RETURN
iptables -t nat -A WEAVE ! -s ${pods} -d ${pods} -j MASQUERADE
iptables -t nat -A WEAVE -s ${pods} ! -d ${pods} -j MASQUERADE
iptables -t nat -A POSTROUTING -j WEAVE
iptables -t nat -D POSTROUTING -s ${pods} -m comment --comment "cni: traffic that leaves the cluster" -j CNI-MASQ`;

const inFront = "iptables -t nat -I POSTROUTING -j WEAVE";

const inEach = (lab: Lab, script: string): Promise<string[]> =>
  Promise.all(lab.nodes.map(({ name }) => execOk(lab, name, ["sh", "-e"], { input: script })));

/** What the outside sees of each pod, or why nothing. */
async function seen(lab: Lab): Promise<Record<string, string>> {
  const target = lab.outside[0]?.address ?? "";
  const calls = [...SELECTED, OTHER].map(
    async (pod) => [pod, await podCall(lab, pod, target, { timeoutMs: 1000 })] as const,
  );
  return Object.fromEntries((await Promise.all(calls)).map(([pod, { source, error }]) => [pod, source ?? `${error}`]));
}

/** Behind Weave's jump what goes into the tunnel is masqueraded, and dropped at its other end. */
const excuses = / 100\.126\.\S+ → .*: tunnelled, but neither from nor to a pod;/;

scenario(
  "the egress IP shows beside Weave's own masquerading, with the switch and without",
  { excuses },
  async (scene) => {
    const { lab, stack, change } = scene;
    const saved = new Map(
      await Promise.all(lab.nodes.map(async ({ name }) => [name, await execOk(lab, name, ["iptables-save"])] as const)),
    );
    const program = (isOn: boolean) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: HOLDER }, weave: isOn }),
      policyOf("policy", "gateway", addressesOf(lab, SELECTED)),
    ];
    const usual = Object.fromEntries([...SELECTED, OTHER].map((pod) => [pod, usualSource(lab, pod)]));
    const wanted = { ...usual, ...Object.fromEntries(SELECTED.map((pod) => [pod, EGRESS])) };
    const lost = { ...usual, ...Object.fromEntries(SELECTED.map((pod) => [pod, "timeout"])) };
    await inEach(lab, weave(lab.ranges.pods));
    expect(await seen(lab)).toEqual(usual);

    for (const isOn of [false, true]) {
      await change(SELECTED, () => stack.up(program(isOn)), { to: [EGRESS] });
      expect({ isOn, seen: await seen(lab) }).toEqual({ isOn, seen: wanted });

      // In front of ours it wins on the nodes of the pods, with the switch as without: that is drift, and the next up moves ours.
      const others = lab.nodes.flatMap(({ name }) => (name === HOLDER ? [] : [name]));
      await Promise.all(others.map((name) => execOk(lab, name, ["sh", "-e"], { input: inFront })));
      expect({ isOn, seen: await seen(lab) }).toEqual({ isOn, seen: lost });
      const lines = Object.entries(await shown(stack, program(isOn)));
      expect(lines.map(([name]) => name)).toEqual(others.sort());
      for (const line of lines.flatMap(([, some]) => some)) expect(line).toMatch(/ behind foreign "-j WEAVE"$/);
      await stack.up(program(isOn));
      const after = { seen: await seen(lab), left: await shown(stack, program(isOn)) };
      expect({ isOn, ...after }).toEqual({ isOn, seen: wanted, left: {} });
    }

    await change(SELECTED, () => stack.destroy(), { established: "cut" });
    // Whole tables at once: pods send on.
    for (const [node, rules] of saved) await execOk(lab, node, ["iptables-restore"], { input: rules });
    await inEach(lab, "ipset destroy weaver-no-masq-local");
  },
);
