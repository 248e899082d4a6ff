import type { TransportCounters } from "../../provider/transport/transport";
import { execOk, type Lab } from "../lab";
import type { Operator } from "../operator/operator";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Planned } from "../operator/stack";
import { pullCable } from "./cable";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const POD = "pod-client-1-1";
const REGISTRY = "/var/lib/pulumi-egress/registry";

const onRegistry = (lab: Lab, command: string) => execOk(lab, "gateway-1", ["sh", "-c", command]);
const changed = (planned: readonly Planned[]) =>
  Object.fromEntries(planned.filter(({ change }) => change !== "same").map(({ name, drift }) => [name, drift]));

scenario(
  "a registry that is lost is seen, and claimed again by all who hold something in it",
  { engine: "mini" },
  async (scene) => {
    const { lab, stack, operator, change } = scene;
    const program = [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS]),
      policyOf("policy", "gateway", addressesOf(lab, [POD])),
    ];
    await change([POD], () => stack.up(program), { to: [EGRESS] });
    const before = await onRegistry(lab, `cat ${REGISTRY}/lab/mark-* ${REGISTRY}/lab/ip-*`);
    const entry = (key: string) => `registry entry ${key} of fleet "lab" on node gateway-1`;
    const markOf = (name: string) => `mark-${(stack.outputs(name) as { readonly index: number }).index}`;

    await onRegistry(lab, `rm -r ${REGISTRY}`);
    const lost = Object.fromEntries([
      ...lab.nodes.map(({ name }) => [
        name,
        { "gateway-1": [`missing  ${entry("settings")}`, `missing  ${entry(markOf(name))}`] },
      ]),
      ["gateway", { "gateway-1": [`missing  ${entry(`ip-${EGRESS}`)}`] }],
    ]);
    expect(changed(await stack.preview(program))).toEqual(lost);
    expect(await roundTrips(lab, operator)).toEqual(lab.nodes.map(({ name }) => `${name} 1`));
    await stack.up(program);
    expect(changed(await stack.preview(program))).toEqual({});
    expect(await onRegistry(lab, `cat ${REGISTRY}/lab/mark-* ${REGISTRY}/lab/ip-*`)).toBe(before);

    // One entry is lost, and claimed by somebody else meanwhile: refused in preview, the holder named.
    const file = `${REGISTRY}/lab/ip-${EGRESS}`;
    await onRegistry(
      lab,
      `cp ${file} /run/kept; sed -i 's/"owner":"[^"]*"/"owner":"gateway-other"/; s/dev/second/' ${file}`,
    );
    await expect(stack.preview(program)).rejects.toThrow(
      `gateway: egressIPs: ${EGRESS} is already held by organization/test/second/gateway in fleet "lab".`,
    );
    await onRegistry(lab, `mv /run/kept ${file}`);
    expect(changed(await stack.preview(program))).toEqual({});
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "a registry that can't be reached is shown once, and nothing that is held waits for it",
  { engine: "mini" },
  async ({ lab, stack, change }) => {
    const [node] = lab.nodes.filter(({ name }) => name === "gateway-2");
    const connection = {
      host: node?.ssh.host,
      privateKey: `file:${node?.ssh.keyPath}`,
      perDialTimeout: 1,
      dialErrorLimit: 1,
    };
    const registry = { node: "gateway-2", connection: { ...connection, knownHosts: node?.ssh.knownHostsPath } };
    const others = { of: ["client-1"], on: ["gateway-1"] };
    const program = [
      ...fleetOf(lab, { registry }).filter(({ name }) => name !== "gateway-2" && name !== "client-2"),
      gatewayOf(lab, "gateway", [EGRESS], others),
      policyOf("policy", "gateway", addressesOf(lab, [POD])),
    ];
    await change([POD], () => stack.up(program), { to: [EGRESS] });
    await pullCable(lab, "gateway-2", async () => {
      const lines = [
        expect.stringMatching(/^unknown {2}registry of fleet "lab": node gateway-2: .*did not answer within 1 s/),
      ];
      expect(changed(await stack.preview(program))).toEqual({ "client-1": { "gateway-2": lines } });
      await stack.up(program);
    });
    expect(changed(await stack.preview(program))).toEqual({});
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);

async function roundTrips(lab: Lab, operator: Operator): Promise<string[]> {
  const count = async (name: string) =>
    `${name} ${(await operator.call<TransportCounters>("own", "counters", name)).roundTrips}`;
  return Promise.all(lab.nodes.map(({ name }) => count(name)));
}
