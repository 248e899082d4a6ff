import { EGRESS_FLAGS, type Member } from "../kernel/bpf-layout";
import type { NodeClaim } from "../model/claim";

/** Where the programs of connections.bpf.c are attached: the device of a pod, or one by which nodes reach each other. */
export interface ConnectionPlace {
  readonly device: string;
  /** Its pod asks by gateway pods. */
  readonly isClient?: boolean;
  /** Its pod is a gateway pod, with this address. */
  readonly gatewayPod?: string;
}

/**
 * Constants of connections.bpf.c where it is attached.
 * @throws Error for a pod that is both: what it asks by itself would never come out. The verifier refuses such a program too.
 */
export function connectionConstants(
  { fleet }: { readonly fleet: Pick<NodeClaim["fleet"], "tunnelPort"> },
  { device, isClient = false, gatewayPod }: ConnectionPlace,
): Readonly<Record<string, { readonly type: Member; readonly value: unknown }>> {
  if (isClient && gatewayPod !== undefined)
    throw new Error(
      `device ${device}: its pod ${gatewayPod} is a gateway pod and a client of one, which would send its packets in a circle. Take ${gatewayPod} out of the policy's sources, or let another pod be the gateway.`,
    );
  const flags = (isClient ? EGRESS_FLAGS.client : 0) | (gatewayPod === undefined ? 0 : EGRESS_FLAGS.gateway);
  return {
    egress_flags: { type: "u32", value: flags },
    workload_address: { type: "address", value: gatewayPod ?? "0.0.0.0" },
    tunnel_port: { type: "port", value: fleet.tunnelPort },
    trace: { type: "u32", value: 0 },
  };
}
