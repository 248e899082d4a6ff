import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { addressesOf, type Scene, scenario, usualSource } from "./scenario";

const [FIRST, SECOND] = ["192.168.0.200", "192.168.0.201"] as const;
const [A, B, ON_GATEWAY] = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1"] as const;
const SENDERS = [A, B, ON_GATEWAY];

/** The stack with these policies: name → egress IP and pods. */
function withPolicies({ lab }: Scene, policies: Record<string, readonly [string, ...string[]]>): Declared[] {
  return [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [FIRST, SECOND], { placement: { [FIRST]: "gateway-1", [SECOND]: "gateway-2" } }),
    ...Object.entries(policies).map(([name, [egressIP, ...pods]]) =>
      policyOf(name, "gateway", addressesOf(lab, pods), { egressIP }),
    ),
  ];
}

/** Brings the stack there, while the pods that change go from what they show to what they are to show. */
async function edit(
  scene: Scene,
  program: Declared[],
  shows: Record<string, string[]>,
  target?: string[],
): Promise<void> {
  const changes = Object.entries(shows).map(([pod, sources]) => scene.oracle.changing(pod, sources));
  await scene.stack.up(program, target ? { target } : {});
  for (const change of changes) change.done();
}

/** Refused in preview, both policies named, whichever comes first. */
async function expectRefused(scene: Scene): Promise<void> {
  const [web, batch] = [[FIRST, A, B] as const, [SECOND, B] as const];
  const names = /policies "(batch" and "web|web" and "batch)" give 10\.0\.2\.11\/32 → .* two different egress IPs/;
  await expect(scene.stack.preview(withPolicies(scene, { web, batch }))).rejects.toThrow(names);
  await expect(scene.stack.preview(withPolicies(scene, { batch, web }))).rejects.toThrow(names);
}

scenario(
  "policies that overlap are refused; edits that swap, rename, split and merge show no other address",
  { senders: SENDERS, unbroken: true, timeoutMs: 300_000 },
  async (scene) => {
    const { lab, stack, change } = scene;
    await stack.up(withPolicies(scene, {}));
    await expectRefused(scene);
    const all = { [A]: [FIRST], [ON_GATEWAY]: [FIRST], [B]: [SECOND] };
    await edit(scene, withPolicies(scene, { web: [FIRST, A, ON_GATEWAY], batch: [SECOND, B] }), all);

    const swapped = withPolicies(scene, { web: [FIRST, B], batch: [SECOND, A, ON_GATEWAY] });
    await edit(scene, swapped, { [A]: [SECOND], [ON_GATEWAY]: [SECOND], [B]: [FIRST] });
    // With another address: the old policy goes last, and takes what is on its path along.
    await edit(scene, withPolicies(scene, { api: [SECOND, B], batch: [SECOND, A, ON_GATEWAY] }), { [B]: [SECOND] });
    const split = withPolicies(scene, { api: [SECOND, B], batch: [SECOND, A], night: [FIRST, ON_GATEWAY] });
    await edit(scene, split, { [ON_GATEWAY]: [FIRST] });
    await edit(scene, withPolicies(scene, { api: [SECOND, A, B, ON_GATEWAY] }), { [ON_GATEWAY]: [SECOND] });

    // One policy of a swap alone: what only it selected is on its own, what both select has one address or the other.
    await edit(scene, withPolicies(scene, { api: [SECOND, A], late: [FIRST, B, ON_GATEWAY] }), {
      [B]: [FIRST],
      [ON_GATEWAY]: [FIRST],
    });
    const back = withPolicies(scene, { api: [SECOND, B, ON_GATEWAY], late: [FIRST, A] });
    const either = [FIRST, SECOND];
    await edit(scene, back, { [A]: [usualSource(lab, A)], [B]: either, [ON_GATEWAY]: either }, ["api"]);
    await edit(scene, back, { [A]: [FIRST], [B]: [SECOND], [ON_GATEWAY]: [SECOND] });
    await change(SENDERS, () => stack.destroy(), { established: "cut" });
  },
);
