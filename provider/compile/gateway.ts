import { egressLabel } from "../kernel/address";
import type { KernelObject, Owned } from "../kernel/state";
import { MASK_MARK, markOf, tunnelAddress, tunnelMac } from "../model/mark";
import { EGRESS_ADDRESSES, GUARD_IGNORE, IGNORE, PEERS, TUNNEL } from "./names";
import { type NodeView, own, peersOf } from "./view";

/** Legs to the peers, and on a gateway node its egress addresses. */
export function compileGateways(view: NodeView): Owned[] {
  return [...legs(view), ...addresses(view)];
}

function legs(view: NodeView): Owned[] {
  const { node, facts } = view;
  return peersOf(view).flatMap((peer) => {
    const table = facts.tables[peer.index];
    const via = tunnelAddress(node.fleet.tunnelCIDR, peer.index);
    const shared: KernelObject[] = [
      { kind: "ipset-member", set: PEERS, element: peer.underlay, nomatch: false },
      { kind: "ipset-member", set: IGNORE, element: peer.underlay, nomatch: false },
      { kind: "ipset-member", set: GUARD_IGNORE, element: peer.underlay, nomatch: false },
    ];
    // A leg whose table is not allocated yet is not programmed; the guard drops what is marked for it.
    if (table === undefined) return own(peer.owner, ...shared);
    return own(
      peer.owner,
      ...shared,
      { kind: "neighbour", device: TUNNEL, address: via, mac: tunnelMac(peer.index) },
      ...(closes(view, peer.index) ? [{ kind: "route" as const, table }] : []),
      {
        kind: "route",
        table,
        leg: {
          via,
          device: TUNNEL,
          vni: node.fleet.vni,
          underlay: peer.underlay,
          // The way to a pod may have another source, which it would not take for a node's.
          ...(peer.pod ? { source: node.underlay } : {}),
        },
      },
      { kind: "ip-rule", preference: node.fleet.rulePreference, mark: markOf(peer.index), mask: MASK_MARK, table },
    );
  });
}

/** A leg is closed by an `unreachable` route unless every gateway behind it lets traffic out by the node's address. */
function closes(view: NodeView, index: number): boolean {
  const users = view.gateways.filter((gateway) =>
    Object.values(gateway.nodes).some((peer) => peer.index === index && peer.gateway),
  );
  return users.length === 0 || users.some((gateway) => gateway.onTunnelLoss === "drop");
}

/** A pod has its addresses on its own. */
function addresses({ node, gateways }: NodeView): Owned[] {
  return gateways.flatMap((gateway) =>
    Object.entries(gateway.placement)
      .filter(([, holder]) => holder === node.node)
      .flatMap(([address]) =>
        own(
          gateway.owner.id,
          ...(node.netns !== undefined || gateway.hold.includes(address)
            ? []
            : [{ kind: "address" as const, device: node.uplink, address, label: egressLabel(node.uplink) }]),
          ...(gateway.inbound === "drop"
            ? [{ kind: "ipset-member" as const, set: EGRESS_ADDRESSES, element: address, nomatch: false }]
            : []),
        ),
      ),
  );
}
