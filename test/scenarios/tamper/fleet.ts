import type { Lab, LabPod } from "../../lab";
import { fleetOf, gatewayOf, policyOf } from "../../operator/program";
import type { Declared } from "../../operator/stack";

const FIRST = "192.168.0.200";
const SECOND = "192.168.0.201";

const BY_FIRST = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const BY_SECOND = ["pod-client-2-1"];
export const SELECTED: readonly string[] = [...BY_FIRST, ...BY_SECOND];

export interface Fleet {
  readonly program: readonly Declared[];
  /** The egress IP of each selected pod. */
  readonly selected: ReadonlyMap<LabPod, string>;
  /** Towards which destinations it is theirs. */
  readonly destinations: Readonly<Record<string, readonly string[]>>;
}

/** A policy of each shape, selected pods on every node, an egress IP on both gateways. */
export function fleet(lab: Lab): Fleet {
  const pods = (...names: string[]) => lab.pods.filter(({ name }) => names.includes(name));
  const first = pods(...BY_FIRST);
  const second = pods(...BY_SECOND);
  const addresses = (some: readonly LabPod[]) => some.map(({ address }) => address);
  const destinations = { cidrs: ["203.0.113.0/24"], except: ["203.0.113.128/25"] };
  const placement = { [FIRST]: "gateway-1", [SECOND]: "gateway-2" };
  const program = [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [FIRST, SECOND], { placement }),
    policyOf("first", "gateway", addresses(first), { egressIP: FIRST }),
    policyOf("second", "gateway", addresses(second), { egressIP: SECOND, destinations }),
  ];
  return {
    program,
    destinations: { [FIRST]: ["0.0.0.0/0"], [SECOND]: destinations.cidrs },
    selected: new Map([...first.map((pod) => [pod, FIRST] as const), ...second.map((pod) => [pod, SECOND] as const)]),
  };
}
