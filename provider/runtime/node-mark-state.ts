import { minimalCover } from "../model/address";
import type { NodeMarkArgs, NodeRef } from "../model/args";
import type { NodeClaim } from "../model/claim";
import { normalizeFleet } from "../model/defaults";
import { hex, markOf, tunnelAddress } from "../model/mark";
import type { Label } from "./label";

/** A NodeMark as it is kept in state. */
export interface NodeMarkState extends NodeMarkArgs {
  readonly label: Label;
  readonly ownerId: string;
  readonly mark: string;
  readonly index: number;
  readonly tunnelAddress: string;
  readonly tunnelMTU: number;
  readonly uplink: string;
  readonly ref: NodeRef;
}

/** The claim behind a state. */
export function claimOf(state: NodeMarkState): NodeClaim {
  return {
    kind: "node",
    owner: { id: state.ownerId, ...state.label },
    node: state.node,
    index: state.index,
    underlay: state.underlayIP,
    uplink: state.uplink,
    mtu: state.tunnelMTU,
    ...(state.connection.netns === undefined ? {} : { netns: state.connection.netns }),
    fleet: normalizeFleet(state.fleet),
  };
}

/** The state of a NodeMark whose index and uplink are decided. */
export function computed(
  args: NodeMarkArgs,
  label: Label,
  ownerId: string,
  index: number,
  uplink: string,
  uplinkMTU: number | undefined,
  held: NodeMarkState | undefined,
): NodeMarkState {
  const fleet = normalizeFleet(args.fleet);
  const tunnelMTU = args.fleet.mtu ?? (uplinkMTU === undefined ? (held?.tunnelMTU ?? 1450) : uplinkMTU - 50);
  const { node, underlayIP, connection } = args;
  const ref: NodeRef = {
    node,
    fleet: fleet.name,
    index,
    underlayIP,
    uplink,
    ignore: fleet.ignore,
    clusterNetworks: minimalCover([...args.fleet.ignore.pods, ...args.fleet.ignore.services]),
    registry: args.fleet.registry,
    connection,
  };
  return {
    ...args,
    label,
    ownerId,
    mark: hex(markOf(index)),
    index,
    tunnelAddress: tunnelAddress(fleet.tunnelCIDR, index),
    tunnelMTU,
    uplink,
    ref,
  };
}
