import type { Problem } from "../args";
import { type At, at, entries, isKnown, items, text } from "../at";
import { didYouMean } from "../did-you-mean";
import { listOf, quote } from "../problem";
import { egressIPFormRule, egressIPsAt } from "./egress-ips";
import { addressComplaint } from "./ipv4-text";

/** What is placed is one of the egress IPs. */
export function placedAddressRule(args: At): Problem[] {
  const given = egressIPsAt(args);
  const complete = given.length > 0 && isKnown(at(args, "egressIPs")) && egressIPFormRule(args).length === 0;
  const addresses = new Set(given.flatMap((entry) => entry.addresses));
  return entries(at(args, "placement")).flatMap(([key, place]) => {
    const form = addressComplaint(key);
    if (form !== undefined) return [{ path: place.path, message: form }];
    if (!complete || addresses.has(key)) return [];
    return [{ path: place.path, message: `${quote(key)} is not one of egressIPs. Add it there, or remove it here.` }];
  });
}

/** It is placed on one of the gateway nodes. */
export function placedNodeRule(args: At): Problem[] {
  const names = items(at(args, "gateways")).map((node) => text(at(node, "node")));
  const known = names.filter((name) => name !== undefined);
  if (known.length === 0 || known.length < names.length) return [];
  return entries(at(args, "placement")).flatMap(([, place]) => {
    const name = text(place);
    if (name === undefined || known.includes(name)) return [];
    const wayOut = didYouMean(name, known) || ` There ${known.length === 1 ? "is" : "are"} ${listOf(known, "and")}.`;
    return [{ path: place.path, message: `Unknown gateway node ${quote(name)}.${wayOut}` }];
  });
}
