import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { pullCable } from "./cable";
import { addressesOf, type Scene, scenario } from "./scenario";
import { shown } from "./shown";

/** By the program on the node that dies, and by what was once so. */
const [FIXED, HELD] = ["192.168.0.200", "192.168.0.201"] as const;
const DEAD = "gateway-1";
/** Its own pod is cut off with it. */
const PODS = { [FIXED]: ["pod-client-1-1", "pod-gateway-1-1"], [HELD]: ["pod-client-2-1", "pod-gateway-2-1"] };
const NOTHING = /^(timeout|unreachable)$/;

/** Nodes that are given up on at once, with the fleet's registry on one of them. */
function fleet(lab: Lab, keeper: string): Declared[] {
  const hurried = { dialErrorLimit: 1, perDialTimeout: 3 };
  const inputsOf = (name: string) => {
    const inputs = fleetOf(lab)
      .find((one) => one.name === name)
      ?.inputs(() => ({}));
    return { ...inputs, connection: { ...(inputs?.connection as object), ...hurried } };
  };
  const registry = { node: keeper, connection: inputsOf(keeper).connection };
  return fleetOf(lab, { registry }).map((one) => ({
    ...one,
    inputs: (outputs) => ({ ...one.inputs(outputs), connection: inputsOf(one.name).connection }),
  }));
}

const programOf = (lab: Lab, keeper: string, placement: Readonly<Record<string, string>>): Declared[] => [
  ...fleet(lab, keeper),
  gatewayOf(lab, "gateway", [FIXED, HELD], { placement }),
  policyOf("fixed", "gateway", addressesOf(lab, PODS[FIXED]), { egressIP: FIXED }),
  policyOf("held", "gateway", addressesOf(lab, PODS[HELD]), { egressIP: HELD }),
];

/** Brings both egress IPs to the node that is to die; gives the program by which one of them may go elsewhere. */
async function onTheOne({ lab, stack, change }: Scene, keeper: string): Promise<Declared[]> {
  const begin = programOf(lab, keeper, { [FIXED]: DEAD, [HELD]: DEAD });
  const select = () => change(PODS[HELD], () => stack.up(begin), { to: [HELD] });
  await change(PODS[FIXED], select, { to: [FIXED] });
  const program = programOf(lab, keeper, { [FIXED]: DEAD });
  await stack.up(program);
  return program;
}

/** What the outside sees of each pod, or why nothing. */
async function seen(lab: Lab): Promise<Record<string, string>> {
  const target = lab.outside[0]?.address ?? "";
  const calls = Object.values(PODS)
    .flat()
    .map(async (pod) => [pod, await podCall(lab, pod, target, { timeoutMs: 1000 })] as const);
  return Object.fromEntries((await Promise.all(calls)).map(([pod, { source, error }]) => [pod, source ?? `${error}`]));
}

/** What all are to be seen with; `lost` see nothing. */
const wanted = (lost: readonly string[] = []) =>
  Object.fromEntries(
    Object.entries(PODS).flatMap(([address, pods]) =>
      pods.map((pod) => [pod, lost.includes(pod) ? expect.stringMatching(NOTHING) : address]),
    ),
  );

/** The nodes that have each egress IP. */
async function holders(lab: Lab): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = { [FIXED]: [], [HELD]: [] };
  for (const [address, nodes] of Object.entries(found))
    for (const { name } of lab.nodes)
      if ((await execOk(lab, name, ["ip", "-o", "addr", "show", "to", `${address}/32`])) !== "") nodes.push(name);
  return found;
}

for (const keeper of ["client-1", DEAD])
  scenario(
    `the egress IPs of a gateway node that died move once it is written off, and it may come back (registry on ${keeper})`,
    {},
    async (scene) => {
      const { lab, stack, change } = scene;
      const program = await onTheOne(scene, keeper);
      expect([await seen(lab), await holders(lab)]).toEqual([wanted(), { [FIXED]: [DEAD], [HELD]: [DEAD] }]);

      await pullCable(lab, DEAD, async () => {
        expect(await seen(lab)).toEqual(wanted(Object.values(PODS).flat()));
        const dead = expect.stringMatching(`^${DEAD} unknown  node ${DEAD}: `);
        const told = await shown(stack, program);
        // Where the registry is there too, the first NodeMark that the engine comes to says so, if that is another one.
        const registry = Object.entries(told).filter(([name]) => name.startsWith("client-") || name === "gateway-2");
        for (const one of registry)
          expect(one[1]).toEqual([expect.stringMatching(`^${DEAD} unknown  registry of fleet "lab": node ${DEAD}: `)]);
        expect(registry.length).toBeLessThanOrEqual(keeper === DEAD ? 1 : 0);
        expect(told).toMatchObject(
          Object.fromEntries([DEAD, "fixed", "gateway", "held"].map((name) => [name, [dead]])),
        );
        await expect(stack.up(program)).rejects.toThrow(`node ${DEAD}: `);
        expect(await seen(lab)).toEqual(wanted(Object.values(PODS).flat()));

        await stack.configure("egress:abandon", `${DEAD}, gateway-2`);
        await expect(stack.preview(program)).rejects.toThrow(
          "gateway: gateways: Every gateway node is written off in egress:abandon. Give one that is alive, or destroy the gateway.",
        );
        await stack.configure("egress:abandon", DEAD);
        const twice = program.filter(({ name }) => name === DEAD).map((one) => ({ ...one, name: "again" }));
        await expect(stack.preview([...program, ...twice])).rejects.toThrow(
          "again: node: This node is written off in egress:abandon. Take its name out there, or leave out the NodeMark.",
        );

        expect(await shown(stack, program)).toEqual({ fixed: [], gateway: [], held: [] });
        await stack.up(program);
        expect(await seen(lab)).toEqual(wanted(["pod-gateway-1-1"]));
        expect(await shown(stack, program)).toEqual({});
      });

      // It comes back with what it had: nothing is done there, and nobody shows another address.
      expect(await holders(lab)).toEqual({ [FIXED]: [DEAD, "gateway-2"], [HELD]: [DEAD, "gateway-2"] });
      expect(await shown(stack, program)).toEqual({});

      await stack.configure("egress:abandon");
      const stale = [`${DEAD} changed  manifest entry of this resource`];
      const told = await shown(stack, program);
      // With programs, which egress IPs are there is told as well.
      const lines = told.gateway?.filter((line) => !line.includes(" bpf-entry egw_egress_ips "));
      expect({ ...told, gateway: lines }).toEqual({ fixed: [], gateway: stale, held: [] });
      await stack.up(program);
      expect(await holders(lab)).toEqual({ [FIXED]: [DEAD], [HELD]: ["gateway-2"] });
      expect([await seen(lab), await shown(stack, program)]).toEqual([wanted(), {}]);
      const all = Object.values(PODS).flat();
      await change(all, () => stack.destroy(), { established: "cut" });
    },
  );

scenario("a gateway node that is written off and still answers keeps its egress IPs", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const program = await onTheOne(scene, "client-1");
  await stack.configure("egress:abandon", DEAD);
  const mac = (await execOk(lab, DEAD, ["cat", "/sys/class/net/eth0/address"])).trim();
  const taken = [FIXED, HELD].map((address) => `address ${address} is already used by ${mac}`).join(" ");
  await expect(stack.up(program)).rejects.toThrow(
    new RegExp(`node gateway-2: arping failed: ${taken}\\. Nothing was changed\\.`, "i"),
  );
  expect([await seen(lab), await holders(lab)]).toEqual([wanted(), { [FIXED]: [DEAD], [HELD]: [DEAD] }]);
  await stack.configure("egress:abandon");
  expect(await shown(stack, program)).toEqual({});
  // A destroy asks the provider as the last up configured it.
  await stack.up(program);
  await change(Object.values(PODS).flat(), () => stack.destroy(), { established: "cut" });
});
