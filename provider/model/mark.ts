import { type Address, type Cidr, nthAddress } from "./address";

/**
 * The fwmark layout, as one table (bit 31 left):
 *
 *   31      24 23      16 15 14 13       8 7       0
 *  | class    | index hi  | 0  0 | index lo | role     |
 *
 * class 0x26 = a node mark of ours (seed 002: `0x26 + value + 0000`), 0x12 = "keep": encapsulated by us.
 * Bits 0x4000 and 0x8000 are kube-proxy's and are never read or written by us.
 * role (connmark only): 00 = this connection goes out by that node, 01 = its answers go back to that node,
 * 02 = it came from that node, and its answers go by the cluster's own routes.
 */
export const CLASS_NODE = 0x26000000;
export const CLASS_KEEP = 0x12000000;
/** "The tunnel is lost and the user chose node-ip": masqueraded by us. */
export const CLASS_NODE_IP = 0x13000000;
export const MASK_CLASS = 0xff000000;
/** Class and index: what an `ip rule` looks at. */
export const MASK_MARK = 0xffff3f00;
/** Class and role. */
export const MASK_ROLE = 0xff0000ff;
/** Class, index and role: everything that is ours in a connmark. */
export const MASK_ALL = 0xffff3fff;
export const ROLE_ANSWER = 0x01;
export const ROLE_CLUSTER = 0x02;
/** The role alone. */
export const ROLE_BITS = 0xff;
/** Indexes are 1..16383; 0 is no node. */
export const MAX_INDEX = 0x3fff;

/** The mark that means "send it to the node with this index". */
export function markOf(index: number): number {
  if (!Number.isInteger(index) || index < 1 || index > MAX_INDEX)
    throw new Error(`node index ${index} is not in 1..${MAX_INDEX}`);
  return CLASS_NODE + (index >> 6) * 0x10000 + (index & 0x3f) * 0x100;
}

/** The index in a mark; undefined if the number is not a node mark. */
export function indexOf(mark: number): number | undefined {
  const index = (Math.floor(mark / 0x10000) & 0xff) * 64 + ((mark >>> 8) & 0x3f);
  return index >= 1 && markOf(index) === mark ? index : undefined;
}

/** `0x26000100`, as iptables and ip print a mark. */
export function hex(n: number): string {
  return `0x${n.toString(16)}`;
}

/** The node's address inside the tunnel: follows from its index. */
export function tunnelAddress(tunnelCIDR: Cidr, index: number): Address {
  return nthAddress(tunnelCIDR, index);
}

/** The node's own MAC on the tunnel device: follows from its index (kernel: a vxlan receiver drops frames that carry its own MAC as source). */
export function tunnelMac(index: number): string {
  const byte = (n: number): string => (n & 0xff).toString(16).padStart(2, "0");
  return `66:26:00:00:${byte(index >> 8)}:${byte(index)}`;
}
