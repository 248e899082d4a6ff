import { element } from "../kernel/ipset";
import type { Owned } from "../kernel/state";
import { tunnelAddress, tunnelMac } from "../model/mark";
import {
  CUT,
  CUT_OPENING,
  CUT_OPENING_TIMEOUT,
  CUT_TIMEOUT,
  EGRESS_ADDRESSES,
  GUARD_IGNORE,
  IGNORE,
  PEERS,
  TUNNEL,
} from "./names";
import { type NodeView, own } from "./view";

/** What enrolment puts on a node: the tunnel device with its address, and the sets that all policies share. */
export function compileBase({ node, facts }: NodeView): Owned[] {
  const { fleet, index } = node;
  const ignored = [...fleet.ignore, `${node.underlay}/32`];
  const set = (name: string) => ({ kind: "ipset" as const, name, type: "hash:net" as const, timeout: 0 });
  return own(
    node.owner.id,
    { kind: "link", name: TUNNEL, mac: tunnelMac(index), mtu: node.mtu, port: fleet.tunnelPort, up: true },
    // Strict filtering would drop all that comes out of the tunnel; loose needs an address on the device (kernel: fib_validate_source).
    { kind: "sysctl", name: `net/ipv4/conf/${TUNNEL}/rp_filter`, value: "2" },
    // It begins with what the host has for new devices; without it nothing that comes out of the tunnel is forwarded.
    { kind: "sysctl", name: `net/ipv4/conf/${TUNNEL}/forwarding`, value: "1" },
    { kind: "address", device: TUNNEL, address: tunnelAddress(fleet.tunnelCIDR, index), label: "" },
    ...Object.entries(facts.loosened ?? {}).map(([device, setting]) => {
      const [former, value] = [`${setting.slice(0, 1)} -`, setting.slice(2)];
      return { kind: "sysctl" as const, name: `net/ipv4/conf/${device}/rp_filter`, value, former };
    }),
    set(PEERS),
    set(IGNORE),
    set(GUARD_IGNORE),
    set(EGRESS_ADDRESSES),
    { kind: "ipset", name: CUT, type: "hash:ip,port,ip", timeout: CUT_TIMEOUT },
    { kind: "ipset", name: CUT_OPENING, type: "hash:ip,port,ip", timeout: CUT_OPENING_TIMEOUT },
    ...[IGNORE, GUARD_IGNORE].flatMap((name) =>
      ignored.map((cidr) => ({ kind: "ipset-member" as const, set: name, element: element(cidr), nomatch: false })),
    ),
  );
}
