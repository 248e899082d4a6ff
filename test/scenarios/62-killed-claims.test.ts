import { execOk, type Lab } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { type Declared, Stack } from "../operator/stack";
import { addressesOf, type Scene, scenario } from "./scenario";
import { shown } from "./shown";

const [EGRESS, OTHER] = ["192.168.0.200", "192.168.0.201"] as const;
const POD = "pod-client-1-1";
const REGISTRY = "/var/lib/pulumi-egress/registry";

const heldOn = async (lab: Lab, node: string, kind: string) =>
  (await execOk(lab, node, ["sh", "-c", `ls ${REGISTRY}/lab 2>/dev/null || :`])).match(RegExp(`^${kind}.*`, "gm"));
const extra = (node: string, ...keys: readonly string[]) =>
  keys.map((key) => `${node} extra    registry entry ${key} of fleet "lab" on node ${node}`);

/** A run that claimed for `other` was killed before it came to a node: the first program shows that, and takes it back. */
async function takesBack({ lab, stack }: Scene, own: readonly Declared[], other: readonly Declared[]) {
  await stack.up(own);
  const registry = () =>
    execOk(lab, "gateway-1", ["sh", "-c", `cd ${REGISTRY}/lab; cat [!s]*; grep -o '"owner":"[^"]*"' settings`]);
  const before = await registry();
  await stack.unrecorded(() => stack.up(other));
  const found = await shown(stack, own);
  await stack.up(own);
  expect(await shown(stack, own)).toEqual({});
  expect(await registry()).toBe(before);
  return found;
}

const engine = { engine: "mini", timeoutMs: 240_000 } as const;

scenario("what a create claimed that was killed is taken up again, and nothing of it stays", engine, async (scene) => {
  const { lab, stack, change } = scene;
  const program = (...egressIPs: readonly string[]) => [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", egressIPs),
    policyOf("policy", "gateway", addressesOf(lab, [POD])),
  ];
  const own = program(EGRESS).slice(0, -1);
  const ids = () => own.map(({ name }) => stack.id(name));
  await change([POD], () => stack.up(program(EGRESS, OTHER)), { to: [EGRESS] });
  const claimed = ids();
  const on = (command: string) => execOk(lab, "gateway-1", ["sh", "-c", command]);
  await on(`cp -a ${REGISTRY} /run/kept`);
  await change([POD], () => stack.destroy(), { established: "cut" });
  await on(`mkdir -p ${REGISTRY}; cp -a /run/kept/. ${REGISTRY}; rm -r /run/kept`);

  await change([POD], () => stack.up(program(EGRESS)), { to: [EGRESS] });
  expect(ids()).toEqual(claimed);
  expect(await shown(stack, program(EGRESS))).toEqual({});
  expect(await heldOn(lab, "gateway-1", "ip-")).toEqual([`ip-${EGRESS}`]);
  await change([POD], () => stack.destroy(), { established: "cut" });
});

scenario(
  "egress IPs and settings of an update that was killed and is taken back are let go of",
  engine,
  async (scene) => {
    const { lab, stack, operator } = scene;
    const program = (...egressIPs: readonly string[]) => [...fleetOf(lab), gatewayOf(lab, "gateway", egressIPs)];
    const found = await takesBack(scene, program(EGRESS), program(EGRESS, OTHER));
    expect(found.gateway).toEqual(expect.arrayContaining(extra("gateway-1", `ip-${OTHER}`)));
    const refs = new Map(fleetOf(lab).map(({ name }) => [name, stack.outputs(name)]));
    const theirs = gatewayOf(lab, "theirs", [OTHER]);
    const second = new Stack(operator, { project: "organization/test", stack: "second" });
    await second.up([{ ...theirs, inputs: () => theirs.inputs((name) => refs.get(name) ?? {}) }]);
    await second.destroy();
    await stack.destroy();

    const settings = (rulePreference: number) => fleetOf(lab, { rulePreference });
    const changed = await takesBack(scene, settings(90), settings(80));
    for (const { name } of lab.nodes)
      expect(changed[name]).toContainEqual(
        expect.stringMatching(
          /^gateway-1 changed {2}registry entry settings of fleet "lab" on node gateway-1 is held by /,
        ),
      );
    await stack.destroy();
  },
);

scenario("so are its mark, and a registry on another node", engine, async (scene) => {
  const { lab, stack } = scene;
  const marked = (mark: string) =>
    fleetOf(lab).map((one) =>
      one.name === "client-2"
        ? { ...one, inputs: (outputs: Parameters<Declared["inputs"]>[0]) => ({ ...one.inputs(outputs), mark }) }
        : one,
    );
  const found = await takesBack(scene, marked("0x26000500"), marked("0x26000700"));
  expect(found["client-2"]).toEqual(expect.arrayContaining(extra("gateway-1", "mark-7")));
  await stack.destroy();

  const at = (keeper: string) => {
    const node = fleetOf(lab)
      .find(({ name }) => name === keeper)
      ?.inputs(() => ({}));
    return [
      ...fleetOf(lab, { registry: { node: keeper, connection: node?.connection } }),
      gatewayOf(lab, "gateway", [EGRESS]),
    ];
  };
  const moved = await takesBack(scene, at("gateway-1"), at("client-1"));
  const keys = await heldOn(lab, "gateway-1", "(mark|ip)-");
  expect(moved["client-1"]).toEqual(expect.arrayContaining(extra("client-1", ...(keys ?? []))));
  expect(await heldOn(lab, "client-1", ".")).toBeNull();

  // Nor does anything of it stay where nobody comes to take it back.
  await stack.unrecorded(() => stack.up(at("client-1")));
  await stack.destroy();
});
