import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { base, overlayNone } from "./profiles";
import { addressesOf, scenarioOnProfiles, usualSource } from "./scenario";

const [FIRST, SECOND] = ["192.168.0.200", "192.168.0.201"] as const;
const SELECTED = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const OTHER = "pod-client-1-2";

scenarioOnProfiles(
  "pods that send all the time never show a wrong source while a policy comes, changes and goes",
  [base, overlayNone],
  { senders: [...SELECTED, OTHER], unbroken: true },
  async ({ lab, stack, oracle, change }) => {
    const nodes = fleetOf(lab);
    const gateway = gatewayOf(lab, "gateway", [FIRST, SECOND], {
      placement: { [FIRST]: "gateway-1", [SECOND]: "gateway-2" },
    });
    const policy = (egressIP: string) => policyOf("policy", "gateway", addressesOf(lab, SELECTED), { egressIP });
    await stack.up([...nodes, gateway]);
    await change(SELECTED, () => stack.up([...nodes, gateway, policy(FIRST)]), { to: [FIRST] });
    await change(SELECTED, () => stack.up([...nodes, gateway, policy(SECOND)]), { to: [SECOND] });
    await change(SELECTED, () => stack.up([...nodes, gateway]), { established: "cut" });
    await stack.destroy();

    const { pods, attempts } = await oracle.stop();
    for (const pod of SELECTED) {
      const seen = Object.keys(pods[pod]?.sources ?? {}).sort();
      expect({ pod, seen }).toEqual({ pod, seen: [usualSource(lab, pod), FIRST, SECOND].sort() });
    }
    expect(Object.keys(pods[OTHER]?.sources ?? {})).toEqual([usualSource(lab, OTHER)]);
    expect(attempts.worked).toBeGreaterThan(500);
  },
);
