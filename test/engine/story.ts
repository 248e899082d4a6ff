import type { Lab } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";

const gatewayIPs = ["192.168.0.200", "192.168.0.201"];

/** A program with a resource of every type: what both engines run. */
export function storyOf(
  lab: Lab,
  edit: { readonly sources?: readonly string[]; readonly without?: string } = {},
): Declared[] {
  const [client1, , client2] = lab.pods.map(({ address }) => address);
  if (client1 === undefined || client2 === undefined) throw new Error("a lab with too few pods");
  const program = [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", gatewayIPs),
    policyOf("first", "gateway", edit.sources ?? [client1], { allocation: "round-robin" }),
    policyOf("second", "gateway", [client2], { allocation: "round-robin" }),
  ];
  return program.filter(({ name }) => name !== edit.without);
}
