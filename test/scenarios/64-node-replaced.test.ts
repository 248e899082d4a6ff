import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { AnyStack, Declared } from "../operator/stack";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const POD = "pod-client-1-1";

/** The fleet with one NodeMark for a gateway node, called `gw`: on this machine, by this name. */
function fleet(lab: Lab, machine: string, node: string): Declared[] {
  const inputsOf = (name: string) =>
    fleetOf(lab)
      .find((one) => one.name === name)
      ?.inputs(() => ({})) ?? {};
  const registry = { node: "client-1", connection: inputsOf("client-1").connection };
  const all = fleetOf(lab, { registry });
  const marks = all.filter(({ name }) => name.startsWith("client-"));
  const gateway = all.filter(({ name }) => name === machine);
  return [
    ...marks,
    ...gateway.map(
      (one): Declared => ({ ...one, name: "gw", inputs: (outputs) => ({ ...one.inputs(outputs), node }) }),
    ),
  ];
}

const isEmpty = async (lab: Lab, node: string) =>
  (await execOk(lab, node, ["sh", "-c", "ls -A /var/lib/pulumi-egress 2>/dev/null || true"])) === "";

async function changes(stack: AnyStack, program: readonly Declared[]): Promise<string[]> {
  const planned = await stack.preview(program);
  return planned.filter(({ change }) => change !== "same").map(({ name, change }) => `${change} ${name}`);
}

scenario(
  "a NodeMark that gateways use is moved to another machine; on the same one it is renamed once nobody uses it",
  { senders: [POD], unbroken: true },
  async ({ lab, stack, change }) => {
    const shown = async () => (await podCall(lab, POD, lab.outside[0]?.address ?? "")).source;
    const used = (machine: string, node: string) => [
      ...fleet(lab, machine, node),
      gatewayOf(lab, "gateway", [EGRESS], { on: ["gw"] }),
      policyOf("policy", "gateway", addressesOf(lab, [POD])),
    ];
    await change([POD], () => stack.up(used("gateway-1", "gateway-1")), { to: [EGRESS] });

    const moved = used("gateway-2", "gateway-2");
    expect(await changes(stack, moved)).toEqual(["replace gw", "update gateway", "update policy"]);
    await change([POD], () => stack.up(moved), { to: [EGRESS] });
    expect(await shown()).toBe(EGRESS);
    expect(await isEmpty(lab, "gateway-1")).toBe(true);
    expect(await changes(stack, moved)).toEqual([]);

    await expect(stack.preview(used("gateway-2", "better-name"))).rejects.toThrow(
      "gw: node: from node gateway-2 to better-name on the same machine means to enrol it anew, but gateway organization/test/dev/gateway, policy organization/test/dev/policy still use it. Take it out of the gateways in an up of its own first.",
    );
    expect(await shown()).toBe(EGRESS);
    await change([POD], () => stack.up(fleet(lab, "gateway-2", "gateway-2")), { established: "cut" });
    const renamed = fleet(lab, "gateway-2", "better-name");
    expect(await changes(stack, renamed)).toEqual(["replace gw"]);
    await stack.up(renamed);
    expect(await changes(stack, renamed)).toEqual([]);
    const again = used("gateway-2", "better-name");
    await change([POD], () => stack.up(again), { to: [EGRESS] });
    expect(await shown()).toBe(EGRESS);
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);
