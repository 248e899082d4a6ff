import { type Held, podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, type Scene, scenario, usualSource } from "./scenario";

const [EGRESS, OTHER] = ["192.168.0.200", "192.168.0.201"] as const;
/** Pods on a client node, on the gateway node and on another gateway node, selected before the edit, and after it. */
const BEFORE = ["pod-client-1-1", "pod-gateway-1-1"];
const AFTER = ["pod-client-2-1", "pod-gateway-2-1"];
const SENDERS = [...BEFORE, ...AFTER];

for (const after of [EGRESS, OTHER]) {
  scenario(
    `sources ${after === EGRESS ? "" : "and the egress IP "}edited under traffic: some pods get the egress IP, some lose it`,
    { senders: SENDERS, unbroken: true },
    (scene) => editSources(scene, after),
  );
}

async function editSources({ lab, stack, oracle, change }: Scene, after: string): Promise<void> {
  const program = (sources: readonly string[], egressIP: string) => [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [EGRESS, OTHER], { placement: { [EGRESS]: "gateway-1", [OTHER]: "gateway-2" } }),
    policyOf("policy", "gateway", addressesOf(lab, sources), { egressIP }),
  ];
  const held: { pod: string; connection: Held }[] = [];
  const holdAll = async () => {
    for (const pod of SENDERS) held.push({ pod, connection: await podHold(lab, pod, "203.0.113.10") });
  };
  await change(BEFORE, () => stack.up(program(BEFORE, EGRESS)), { to: [EGRESS] });
  await holdAll();
  // Who loses it shows the one that it had, until it shows its own: never the one that the others get.
  await change(BEFORE, () => change(AFTER, () => stack.up(program(AFTER, after)), { to: [after] }));
  await holdAll();
  expect(held.map(({ connection }) => connection.source)).toEqual([
    ...[EGRESS, EGRESS, ...AFTER.map((pod) => usualSource(lab, pod))],
    ...[...BEFORE.map((pod) => usualSource(lab, pod)), after, after],
  ]);
  // Open connections stay where they are, also of pods that are no longer selected …
  for (const { pod, connection } of held) expect([pod, await connection.say()]).toEqual([pod, undefined]);
  await change(SENDERS, () => stack.destroy(), { established: "cut" });
  // … until the path goes that they are on.
  for (const { pod, connection } of held) {
    const isCut = connection.source === EGRESS || connection.source === OTHER;
    expect([pod, await connection.say()]).toEqual([pod, isCut ? "reset" : undefined]);
  }
  const { pods } = await oracle.stop();
  for (const pod of SENDERS) {
    const seen = Object.keys(pods[pod]?.sources ?? {}).sort();
    expect({ pod, seen }).toEqual({ pod, seen: [usualSource(lab, pod), BEFORE.includes(pod) ? EGRESS : after].sort() });
  }
}
