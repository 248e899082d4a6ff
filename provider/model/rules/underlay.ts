import { contains } from "../address";
import type { Problem } from "../args";
import { type At, isKnown, text } from "../at";
import { listOf, quote } from "../problem";
import { cidrsAt } from "./cidr-list";
import { addressRule } from "./ipv4-text";

/** The node's address is an IPv4 address in one of the networks that the fleet ignores: those of its `nodes`. */
export function underlayRule(place: At, nodes: At): Problem[] {
  const address = text(place);
  if (address === undefined) return [];
  const form = addressRule(place);
  if (form.length > 0) return form;
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
