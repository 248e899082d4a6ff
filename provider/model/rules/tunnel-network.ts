import { contains, networkSize, overlaps } from "../address";
import type { Problem } from "../args";
import { type At, at, text } from "../at";
import { DEFAULT_TUNNEL_CIDR } from "../defaults";
import { MAX_INDEX } from "../mark";
import { quote } from "../problem";
import { type CidrAt, cidrsAt } from "./cidr-list";
import { addressComplaint, cidrComplaint } from "./ipv4-text";

/** The tunnel's network has an address for every index, and is none of the cluster's own networks. */
export function tunnelNetworkRule(args: At): Problem[] {
  const place = at(args, "fleet", "tunnelCIDR");
  const written = place.value === undefined ? DEFAULT_TUNNEL_CIDR : text(place);
  if (written === undefined) return [];
  const complaint =
    cidrComplaint(written) ?? sizeComplaint(written) ?? overlapComplaint(args, written, place.value === undefined);
  return complaint === undefined ? [] : [{ path: place.path, message: complaint }];
}

function sizeComplaint(written: string): string | undefined {
  if (networkSize(written) > MAX_INDEX) return undefined;
  return `${quote(written)} has too few addresses for ${MAX_INDEX} nodes. Give a /18 or larger.`;
}

function overlapComplaint(args: At, written: string, byDefault: boolean): string | undefined {
  const lists = ["pods", "services", "nodes"].map((name) => at(args, "fleet", "ignore", name));
  const other = [...lists.flatMap(cidrsAt), ...underlay(args)].find(({ cidr }) => overlaps(written, cidr));
  if (other === undefined) return undefined;
  const subject = byDefault ? `The default ${quote(written)}` : quote(written);
  const verb = contains(written, other.cidr) && other.path === "underlayIP" ? "holds" : "overlaps";
  return `${subject} ${verb} ${quote(other.text)} of ${other.path}. Give a network that is used nowhere else.`;
}

function underlay(args: At): CidrAt[] {
  const address = text(at(args, "underlayIP"));
  if (address === undefined || addressComplaint(address) !== undefined) return [];
  return [{ path: "underlayIP", text: address, cidr: `${address}/32` }];
}
