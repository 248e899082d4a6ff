import type { Problem } from "../args";
import { type At, at, entries, isKnown, text } from "../at";
import { didYouMean } from "../did-you-mean";
import { listOf, quote } from "../problem";
import { egressIPFormRule, egressIPsAt } from "./egress-ips";
import { addressRule } from "./ipv4-text";
import { nodeNameRule } from "./names";

/** What is placed is one of the egress IPs. */
export function placedAddressRule(args: At): Problem[] {
  const given = egressIPsAt(args);
  const complete = given.length > 0 && isKnown(at(args, "egressIPs")) && egressIPFormRule(args).length === 0;
  const addresses = new Set(given.flatMap((entry) => entry.addresses));
  return entries(at(args, "placement")).flatMap(([key, place]) => {
    const form = addressRule({ path: place.path, value: key });
    if (form.length > 0) return form;
    if (!complete || addresses.has(key)) return [];
    return [{ path: place.path, message: `${quote(key)} is not one of egressIPs. Add it there, or remove it here.` }];
  });
}

/** It is placed on one of the gateway nodes, which have these names as far as they are known. */
export function placedNodeRule(placement: At, names: readonly (string | undefined)[]): Problem[] {
  const known = names.filter((name) => name !== undefined);
  const isJudged = known.length > 0 && known.length === names.length;
  return entries(placement).flatMap(([, place]) => {
    const form = nodeNameRule(place);
    const name = text(place);
    if (form.length > 0 || !isJudged || name === undefined || known.includes(name)) return form;
    const wayOut = didYouMean(name, known) || ` There ${known.length === 1 ? "is" : "are"} ${listOf(known, "and")}.`;
    return [{ path: place.path, message: `Unknown gateway node ${quote(name)}.${wayOut}` }];
  });
}
