import { podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { base, bridgeSnat, overlayNone } from "./profiles";
import { addressesOf, scenarioOnProfiles, usualSource } from "./scenario";

const EGRESS = "192.168.0.200";
const SELECTED = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1", "pod-gateway-2-1"];

// Scenario 33 too: each kind of traffic shows the same source.
scenarioOnProfiles(
  "a pod on the gateway node and pods on other nodes leave by the egress IP, others by their node",
  [base, overlayNone, bridgeSnat],
  {},
  async ({ lab, stack, change }) => {
    const program = [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS]),
      policyOf("policy", "gateway", addressesOf(lab, SELECTED)),
    ];
    await change(SELECTED, () => stack.up(program), { to: [EGRESS] });
    for (const { name } of lab.pods) {
      const wanted = { source: SELECTED.includes(name) ? EGRESS : usualSource(lab, name), error: undefined };
      for (const { address } of lab.outside) {
        for (const proto of ["tcp", "udp", "http", "icmp"] as const) {
          const { source, error } = await podCall(lab, name, address, { proto });
          expect({ name, proto, source, error }).toEqual({ name, proto, ...wanted });
        }
      }
    }
    expect((await stack.preview(program)).filter(({ change }) => change !== "same")).toEqual([]);
    await change(SELECTED, () => stack.destroy(), { established: "cut" });
  },
);
