import { hasPrograms } from "../compile/bpf";
import type { Problem } from "../model/args";
import type { GatewayClaim } from "../model/claim";
import { fleetOf, type GatewayState } from "./gateway-state";
import { claimOnce } from "./known-gateway";
import { labelText } from "./label";
import type { Looked } from "./look";
import { boundOf } from "./map-bounds";
import { isOwnStack } from "./owner";
import { memory } from "./run-memory";

type Holder = Pick<GatewayClaim, "placement">;
const heldOn = (node: string, holders: readonly Holder[]): string[] =>
  holders.flatMap(({ placement }) => Object.keys(placement).filter((address) => placement[address] === node));

/** A gateway node's programs hold so many egress IPs of all gateways: of this run as it wants them, of other stacks, and what these lose till all is changed. */
export function egressIPBoundProblems(state: GatewayState, looked: ReadonlyMap<string, Looked>): Problem[] {
  if (!hasPrograms(claimOnce(state))) return [];
  const others = [...memory.gateways].flatMap(([id, { wanted }]) =>
    id !== state.ownerId && fleetOf(wanted) === fleetOf(state) && hasPrograms(claimOnce(wanted)) ? [wanted] : [],
  );
  const most = boundOf("egw_egress_ips");
  return [...new Set(Object.values(state.placement))].flatMap((node): Problem[] => {
    const claims = looked.get(node)?.snapshot?.claims ?? [];
    const known = claims.flatMap((claim) => (claim.kind === "gateway" && hasPrograms(claim) ? [claim] : []));
    const theirs = known.filter(({ owner }) => owner.id !== state.ownerId && !isOwnStack(labelText(owner)));
    const wanted = new Set(heldOn(node, [state, ...others, ...theirs]));
    const all = new Set([...wanted, ...heldOn(node, known)]);
    if (all.size <= most) return [];
    const isChange = wanted.size <= most;
    const whenever = isChange ? ", with those that it has till then," : "";
    const message = `node ${node} would hold ${all.size} egress IPs of gateways with datapath "bpf"${whenever} and its programs hold ${most}. Place some on other nodes${isChange ? ", change them in two steps" : ""}, or give datapath "iptables".`;
    return [{ path: "egressIPs", message }];
  });
}
