import { contains } from "../address";
import type { Problem } from "../args";
import { type At, at, isKnown, text } from "../at";
import { listOf, quote } from "../problem";
import { cidrsAt } from "./cidr-list";
import { addressComplaint } from "./ipv4-text";

/** The node's address is an IPv4 address in one of the node networks that the fleet ignores. */
export function underlayRule(args: At): Problem[] {
  const place = at(args, "underlayIP");
  const address = text(place);
  if (address === undefined) return [];
  const complaint = addressComplaint(address);
  if (complaint !== undefined) return [{ path: place.path, message: complaint }];
  const nodes = at(args, "fleet", "ignore", "nodes");
  const networks = cidrsAt(nodes);
  if (networks.length === 0 || !isKnown(nodes) || networks.some(({ cidr }) => contains(cidr, address))) return [];
  const names = listOf(
    networks.map((n) => n.text),
    "and",
  );
  return [
    {
      path: place.path,
      message: `${quote(address)} is not in ${nodes.path}, ${names}. Add the network that it is in.`,
    },
  ];
}
