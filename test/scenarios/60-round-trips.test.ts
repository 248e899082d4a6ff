import { compactNodes } from "../../provider/model/compact-nodes";
import type { ConnectionRef } from "../../provider/model/connection";
import type { TransportCounters } from "../../provider/transport/transport";
import type { Lab } from "../lab";
import type { Operator } from "../operator/operator";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { addressesOf, scenario } from "./scenario";

scenario(
  "a clean preview of a stack with every type of resource costs exactly one round trip a node",
  { engine: "mini" },
  async ({ lab, operator, stack, change }) => {
    const right = ["192.168.0.201", "192.168.0.202"];
    const program = [
      ...fleetOf(lab).map((mark) => withHint(mark, lab)),
      gatewayOf(lab, "left", ["192.168.0.200"], { on: ["gateway-1"] }),
      gatewayOf(lab, "right", [right.join("-")], { on: ["gateway-1", "gateway-2"] }),
      policyOf("first", "left", addressesOf(lab, ["pod-client-1-1"])),
      policyOf("second", "right", addressesOf(lab, ["pod-client-2-1"]), { egressIP: "192.168.0.201" }),
      policyOf("third", "right", addressesOf(lab, ["pod-gateway-1-1"]), { allocation: "round-robin" }),
    ];
    const others = () => change(["pod-client-2-1", "pod-gateway-1-1"], () => stack.up(program), { to: right });
    await change(["pod-client-1-1"], others, { to: ["192.168.0.200"] });
    const planned = await stack.preview(program);
    expect(planned.filter(({ change }) => change !== "same")).toEqual([]);
    expect(planned).toHaveLength(lab.nodes.length + 5);
    expect(await sentTo(lab, operator)).toEqual(
      Object.fromEntries(lab.nodes.map(({ name }) => [name, { roundTrips: 1, handshakes: 1 }])),
    );
    const pods = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1"];
    await change(pods, () => stack.destroy(), { established: "cut" });
  },
);

/** As NodeFleet passes it: the first check then sets out to all nodes. */
function withHint(mark: Declared, lab: Lab): Declared {
  const nodes = fleetOf(lab).map(({ name, inputs }) => {
    const { connection } = inputs(() => ({})) as { readonly connection: ConnectionRef };
    return { node: name, connection };
  });
  return { ...mark, inputs: (outputs) => ({ ...mark.inputs(outputs), hint: compactNodes(nodes) }) };
}

async function sentTo(lab: Lab, operator: Operator): Promise<Record<string, unknown>> {
  const entries = lab.nodes.map(async ({ name }) => {
    const { roundTrips, handshakes } = await operator.call<TransportCounters>("own", "counters", name);
    return [name, { roundTrips, handshakes }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
