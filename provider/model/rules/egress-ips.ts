import { type Address, contains, parseAddressRange } from "../address";
import type { Problem } from "../args";
import { type At, at, items, text } from "../at";
import { quote } from "../problem";
import { cidrsAt } from "./cidr-list";
import { addressRangeComplaint, MOST_ADDRESSES } from "./ipv4-text";
import { problemAt } from "./rule";

/** An entry of egressIPs with its addresses. */
export interface EgressIPsAt {
  readonly path: string;
  readonly text: string;
  readonly addresses: readonly Address[];
}

/** The entries of egressIPs that are known and well-formed. */
export function egressIPsAt(args: At): EgressIPsAt[] {
  return items(at(args, "egressIPs")).flatMap((entry) => {
    const written = text(entry);
    if (written === undefined || addressRangeComplaint(written) !== undefined) return [];
    return [{ path: entry.path, text: written, addresses: parseAddressRange(written, MOST_ADDRESSES) ?? [] }];
  });
}

/** Each entry is an address, a range or a CIDR. */
export function egressIPFormRule(args: At): Problem[] {
  return items(at(args, "egressIPs")).flatMap((entry) => {
    const written = text(entry);
    return problemAt(entry, written === undefined ? undefined : addressRangeComplaint(written));
  });
}

/** No address is given twice, not by ranges either. */
export function distinctEgressIPsRule(args: At): Problem[] {
  const first = new Map<Address, string>();
  return egressIPsAt(args).flatMap(({ path, text, addresses }) => {
    const twice = addresses.find((address) => first.has(address));
    const other = twice === undefined ? undefined : first.get(twice);
    for (const address of addresses) first.set(address, first.get(address) ?? path);
    if (twice === undefined) return [];
    const subject = text === twice ? `${quote(twice)} is` : `${quote(twice)} of ${quote(text)} is`;
    return [{ path, message: `${subject} given already, at ${other}. Remove one of them.` }];
  });
}

/** A gateway holds at most 1024 addresses. */
export function egressIPCountRule(args: At): Problem[] {
  const { path } = at(args, "egressIPs");
  const count = new Set(egressIPsAt(args).flatMap((entry) => entry.addresses)).size;
  if (count <= MOST_ADDRESSES) return [];
  return [
    {
      path,
      message: `These are ${count} addresses, but a gateway holds at most ${MOST_ADDRESSES}. Use several gateways.`,
    },
  ];
}

const SPECIAL: readonly (readonly [string, string])[] = [
  ["255.255.255.255/32", "is the broadcast address"],
  ["0.0.0.0/8", 'means "this host"'],
  ["127.0.0.0/8", "is a loopback address"],
  ["169.254.0.0/16", "is a link-local address"],
  ["224.0.0.0/4", "is a multicast address"],
  ["240.0.0.0/4", "is a reserved address"],
];

/** An egress IP is an address that an answer can be sent to. */
export function unicastEgressIPRule(args: At): Problem[] {
  return eachEntry(args, (address) => {
    const special = SPECIAL.find(([network]) => contains(network, address));
    return special && `${quote(address)} ${special[1]}, which can't be an egress IP. Give a unicast address.`;
  });
}

/** An egress IP is none of the cluster's pods and services. */
export function outsideClusterRule(args: At): Problem[] {
  const nodes = [...items(at(args, "gateways")), ...items(at(args, "clients"))];
  const everywhere = nodes.flatMap((node) => cidrsAt(at(node, "clusterNetworks")));
  const networks = [...new Map(everywhere.map((network) => [network.cidr, network])).values()];
  return eachEntry(args, (address) => {
    const network = networks.find(({ cidr }) => contains(cidr, address));
    return (
      network &&
      `${quote(address)} is in ${quote(network.text)}, the cluster's own pods or services. Give an address outside.`
    );
  });
}

/** An egress IP is no node's own address: the node's own traffic would share it. That of a pod is. */
export function notANodeRule(args: At): Problem[] {
  const nodes = [...items(at(args, "gateways")), ...items(at(args, "clients"))].filter(
    (node) => at(node, "connection", "netns").value === undefined,
  );
  const owners = new Map(nodes.map((node) => [text(at(node, "underlayIP")), text(at(node, "node"))]));
  return eachEntry(args, (address) => {
    if (!owners.has(address)) return undefined;
    return `${quote(address)} is the own address of node ${quote(owners.get(address) ?? "")}. Give an address that no node has.`;
  });
}

/** The first complaint about each entry. */
function eachEntry(args: At, complaint: (address: Address) => string | undefined): Problem[] {
  return egressIPsAt(args).flatMap(({ path, addresses }) => {
    for (const address of addresses) {
      const message = complaint(address);
      if (message !== undefined) return [{ path, message }];
    }
    return [];
  });
}
