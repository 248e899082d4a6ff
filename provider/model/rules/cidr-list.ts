import { type Cidr, canonicalCidr } from "../address";
import type { Problem } from "../args";
import { type At, items, text } from "../at";
import { quote } from "../problem";
import { cidrComplaint } from "./ipv4-text";
import { problemAt } from "./rule";

export const EVERYTHING = "0.0.0.0/0";

/** A well-formed entry of a list of CIDRs. */
export interface CidrAt {
  readonly path: string;
  readonly text: string;
  readonly cidr: Cidr;
}

/** Each entry is an IPv4 address or CIDR in canonical form, and none is there twice. */
export function cidrListRule(list: At): Problem[] {
  return [...items(list).flatMap(entryRule), ...duplicateRule(list)];
}

/** The same for what is never selected: never everything. */
export function ignoreListRule(list: At): Problem[] {
  const everything = cidrsAt(list).filter(({ cidr }) => cidr === EVERYTHING);
  return [
    ...cidrListRule(list),
    ...everything.map(({ path, text }) => ({
      path,
      message: `${quote(text)} is everything, so no policy could select anything. Give the networks that are meant.`,
    })),
  ];
}

/** The entries that are known and well-formed. */
export function cidrsAt(list: At): CidrAt[] {
  return items(list).flatMap((entry) => {
    const written = text(entry);
    if (written === undefined || cidrComplaint(written) !== undefined) return [];
    return [{ path: entry.path, text: written, cidr: canonicalCidr(written) }];
  });
}

function entryRule(entry: At): Problem[] {
  const written = text(entry);
  return problemAt(entry, written === undefined ? undefined : cidrComplaint(written));
}

function duplicateRule(list: At): Problem[] {
  const first = new Map<Cidr, string>();
  return cidrsAt(list).flatMap((entry) => {
    const other = first.get(entry.cidr);
    first.set(entry.cidr, other ?? entry.path);
    if (other === undefined) return [];
    return [
      { path: entry.path, message: `${quote(entry.text)} is in the list already, at ${other}. Remove one of them.` },
    ];
  });
}
