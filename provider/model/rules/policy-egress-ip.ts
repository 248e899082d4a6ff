import type { Problem } from "../args";
import { type At, at, isKnown, items, text } from "../at";
import { listOf, quote } from "../problem";
import { addressRule } from "./ipv4-text";

/** The egress IP is one that the gateway holds. */
export function policyEgressIPRule(args: At): Problem[] {
  const place = at(args, "egressIP");
  const address = text(place);
  if (address === undefined) return [];
  const form = addressRule(place);
  if (form.length > 0) return form;
  const list = at(args, "gateway", "egressIPs");
  const held = items(list).map((item) => text(item) ?? "");
  if (held.length === 0 || !isKnown(list) || held.includes(address)) return [];
  const gateway = text(at(args, "gateway", "name"));
  const owner = gateway === undefined ? "the gateway" : `gateway ${quote(gateway)}`;
  return [
    {
      path: place.path,
      message: `${quote(address)} is not an egress IP of ${owner}, which has ${listOf(held, "and")}. Give one of these.`,
    },
  ];
}

/** Either the user chooses the egress IP or we do. */
export function oneChoiceRule(args: At): Problem[] {
  const chosen = text(at(args, "egressIP"));
  const allocation = text(at(args, "allocation"));
  if (chosen === undefined || allocation === undefined) return [];
  return [
    {
      path: "allocation",
      message: "An egressIP is given, so there is nothing to allocate. Remove egressIP or allocation.",
    },
  ];
}
