import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";
import { shown } from "./shown";

const [FIRST, SECOND] = ["192.168.0.200", "192.168.0.201"] as const;
const ONE = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const TWO = ["pod-client-1-2", "pod-client-2-1"];

scenario(
  "a fleet is moved from one datapath to the other and back under traffic: sources stay, and no connection breaks",
  { senders: [...ONE, ...TWO], unbroken: true, timeoutMs: 300_000 },
  async ({ lab, stack, change }) => {
    const program = (one: string, two: string) => [
      ...fleetOf(lab),
      gatewayOf(lab, "one", [FIRST], { placement: { [FIRST]: "gateway-1" }, datapath: one }),
      gatewayOf(lab, "two", [SECOND], { placement: { [SECOND]: "gateway-2" }, datapath: two }),
      policyOf("policy-one", "one", addressesOf(lab, ONE)),
      policyOf("policy-two", "two", addressesOf(lab, TWO)),
    ];
    const to = async (one: string, two: string): Promise<void> => {
      await stack.up(program(one, two));
      expect(await shown(stack, program(one, two))).toEqual({});
      await new Promise((done) => setTimeout(done, 1500));
    };
    await change(ONE, () => change(TWO, () => stack.up(program("iptables", "iptables")), { to: [SECOND] }), {
      to: [FIRST],
    });
    await to("bpf", "iptables");
    await to("bpf", "bpf");
    await to("iptables", "bpf");
    await to("bpf", "bpf");
    await to("iptables", "iptables");
    await change([...ONE, ...TWO], () => stack.destroy(), { established: "cut" });
  },
);
