import { podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario, usualSource } from "./scenario";

const EGRESS = "192.168.0.200";
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];

scenario("an exception wins over destinations, wide or narrow", {}, async ({ lab, stack, change }) => {
  const [chosen = "", excepted = ""] = lab.outside.map(({ address }) => address);
  const program = (destinations: object) => [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } }),
    policyOf("policy", "gateway", addressesOf(lab, PODS), { destinations }),
  ];
  const check = async () => {
    for (const pod of PODS) {
      for (const proto of ["tcp", "udp", "icmp"] as const) {
        const first = await podCall(lab, pod, chosen, { proto });
        const second = await podCall(lab, pod, excepted, { proto });
        const seen = [pod, proto, first.source ?? first.error, second.source ?? second.error];
        expect(seen).toEqual([pod, proto, EGRESS, usualSource(lab, pod)]);
      }
    }
  };
  const everything = { except: [`${excepted}/32`] };
  await change(PODS, () => stack.up(program(everything)), { to: [EGRESS], targets: [chosen] });
  await check();
  // The narrower of two networks of an ipset wins, so a destination inside an exception must not be in it.
  const narrow = { cidrs: ["203.0.112.0/22", `${excepted}/32`], except: ["203.0.114.0/24"] };
  await stack.up(program(narrow));
  await check();
  await change(PODS, () => stack.destroy(), { established: "cut" });
});
