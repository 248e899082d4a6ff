import { type Held, podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario, usualSource } from "./scenario";

const EGRESS = "192.168.0.200";
/** Pods on a client node, on the gateway node and on another gateway node, selected before the edit, and after it. */
const BEFORE = ["pod-client-1-1", "pod-gateway-1-1"];
const AFTER = ["pod-client-2-1", "pod-gateway-2-1"];
const SENDERS = [...BEFORE, ...AFTER];

scenario(
  "sources edited under traffic: some pods get the egress IP, some lose it",
  { senders: SENDERS, unbroken: true },
  async (scene) => {
    const { lab, stack, oracle, change } = scene;
    const program = (sources: readonly string[]) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } }),
      policyOf("policy", "gateway", addressesOf(lab, sources)),
    ];
    const held: { pod: string; connection: Held }[] = [];
    const holdAll = async () => {
      for (const pod of SENDERS) held.push({ pod, connection: await podHold(lab, pod, "203.0.113.10") });
    };
    await change(BEFORE, () => stack.up(program(BEFORE)), { to: [EGRESS] });
    await holdAll();
    await change(BEFORE, () => change(AFTER, () => stack.up(program(AFTER)), { to: [EGRESS] }));
    await holdAll();
    expect(held.map(({ connection }) => connection.source)).toEqual([
      ...[EGRESS, EGRESS, ...AFTER.map((pod) => usualSource(lab, pod))],
      ...[...BEFORE.map((pod) => usualSource(lab, pod)), EGRESS, EGRESS],
    ]);
    // Open connections stay where they are, also of pods that are no longer selected …
    for (const { pod, connection } of held) expect([pod, await connection.say()]).toEqual([pod, undefined]);
    await change(SENDERS, () => stack.destroy(), { established: "cut" });
    // … until the path goes that they are on.
    for (const { pod, connection } of held) {
      expect([pod, await connection.say()]).toEqual([pod, connection.source === EGRESS ? "reset" : undefined]);
    }
    const { pods } = await oracle.stop();
    for (const pod of SENDERS) {
      const seen = Object.keys(pods[pod]?.sources ?? {}).sort();
      expect({ pod, seen }).toEqual({ pod, seen: [usualSource(lab, pod), EGRESS].sort() });
    }
  },
);
