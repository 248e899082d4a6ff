import { execOk, type Lab } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, scenario } from "./scenario";
import { shown } from "./shown";

const EGRESS = "192.168.0.200";
const POD = "pod-client-1-1";

const programOf = (lab: Lab) => (on: string) => [
  ...fleetOf(lab),
  gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: on } }),
  policyOf("policy", "gateway", addressesOf(lab, [POD])),
];

async function holders(lab: Lab): Promise<string[]> {
  const told = (name: string) => execOk(lab, name, ["ip", "-o", "addr", "show", "to", `${EGRESS}/32`]);
  const found = await Promise.all(lab.nodes.map(async ({ name }) => ((await told(name)) === "" ? [] : [name])));
  return found.flat();
}

scenario(
  "an egress IP that moved in a run that was killed goes back in one up",
  { senders: [POD], intervalMs: 50 },
  async ({ lab, stack, change }) => {
    const program = programOf(lab);
    await change([POD], () => stack.up(program("gateway-1")), { to: [EGRESS] });
    const back = async () => {
      await stack.unrecorded(() => stack.up(program("gateway-2")));
      expect(await holders(lab)).toEqual(["gateway-2"]);
      await stack.up(program("gateway-1"));
    };
    await change([POD], back, { to: [EGRESS], established: "cut-paths" });
    expect(await holders(lab)).toEqual(["gateway-1"]);
    expect(await shown(stack, program("gateway-1"))).toEqual({});
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);

scenario("an egress IP that a create left where it failed is placed on another node", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const program = (on: string) => programOf(lab)(on).slice(0, -1);
  await stack.up(fleetOf(lab));
  await breakCall(lab, "client-2", 0);
  await stack.up(program("gateway-1"));
  const calls = await mendCalls(lab, "client-2");
  await stack.up(fleetOf(lab));
  // One node can't take the gateway, another one can't let go of it again.
  await breakCall(lab, "client-1", 1);
  await breakCall(lab, "client-2", calls + 1);
  await expect(stack.up(program("gateway-1"))).rejects.toThrow(/node client-1: .* failed/);
  for (const node of ["client-1", "client-2"]) await mendCalls(lab, node);
  expect(await holders(lab)).toEqual(["gateway-1"]);
  await stack.up(program("gateway-2"));
  expect(await holders(lab)).toEqual(["gateway-2"]);
  expect(await shown(stack, program("gateway-2"))).toEqual({});
  await change([POD], () => stack.destroy());
});
