import { podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { scenario } from "./scenario";

const EGRESS = "192.168.0.200";

scenario("a pod on the gateway node and pods on other nodes leave by the egress IP, others by their node", {}, async ({ lab, stack }) => {
  const selected = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1", "pod-gateway-2-1"];
  const addresses = lab.pods.filter((pod) => selected.includes(pod.name)).map((pod) => pod.address);
  const program = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS]), policyOf("policy", "gateway", addresses)];
  await stack.up(program);
  for (const outside of lab.outside) {
    for (const pod of lab.pods) {
      const node = lab.nodes.find(({ name }) => name === pod.node)?.underlayIP;
      for (const proto of ["tcp", "udp", "http", "icmp"] as const) {
        const { source, error } = await podCall(lab, pod.name, outside.address, { proto });
        expect({ pod: pod.name, proto, source, error }).toEqual({ pod: pod.name, proto, source: selected.includes(pod.name) ? EGRESS : node, error: undefined });
      }
    }
  }
  expect((await stack.preview(program)).filter(({ change }) => change !== "same")).toEqual([]);
  await stack.destroy();
});
