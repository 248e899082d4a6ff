import { IPv6 } from "ipaddr.js";
import { canonicalCidr, parseAddress, parseBounds, parseNetwork } from "../address";
import type { Problem } from "../args";
import { type At, text } from "../at";
import { quote } from "../problem";
import { problemAt } from "./rule";

/** What is here is one IPv4 address. */
export function addressRule(place: At): Problem[] {
  const written = text(place);
  return problemAt(place, written === undefined ? undefined : addressComplaint(written));
}

/** What is wrong with a text that should be an IPv4 address. */
export function addressComplaint(text: string): string | undefined {
  if (parseAddress(text) !== undefined) return undefined;
  return ipv6Complaint(text, "an IPv4 address") ?? `${quote(text)} is not an IPv4 address.`;
}

/** What is wrong with a text that should be an IPv4 address or CIDR. */
export function cidrComplaint(text: string): string | undefined {
  if (parseNetwork(text) !== undefined) return hostBitsComplaint(text);
  return ipv6Complaint(text, "an IPv4 address or CIDR") ?? `${quote(text)} is not an IPv4 address or CIDR.`;
}

/** The most addresses that one gateway may hold. */
export const MOST_ADDRESSES = 1024;

/** What is wrong with a text that should be an IPv4 address, a range of them or a CIDR. */
export function addressRangeComplaint(text: string): string | undefined {
  const bounds = parseBounds(text);
  if (bounds === undefined) return malformedRangeComplaint(text);
  if (bounds.count > MOST_ADDRESSES) {
    return `${quote(text)} has more than ${MOST_ADDRESSES} addresses. Give fewer, or several gateways.`;
  }
  return text.includes("/") ? hostBitsComplaint(text) : undefined;
}

function malformedRangeComplaint(text: string): string {
  const ipv6 = ipv6Complaint(text, "an IPv4 address");
  if (ipv6 !== undefined) return ipv6;
  const ends = text.split("-").map((part) => parseAddress(part.trim()));
  if (ends.length === 2 && !ends.includes(undefined)) {
    return `${quote(text)} ends before it starts. Write the lower address first.`;
  }
  return `${quote(text)} is not an IPv4 address, a range "a-b" or a CIDR.`;
}

/** Refuses IPv6 by name. */
export function ipv6Complaint(text: string, instead: string): string | undefined {
  const isIPv6 = text.split("-").some((part) => IPv6.isValid(part.trim().replace(/^\[|\](:\d+)?$|\/.*$/g, "")));
  return isIPv6 ? `${quote(text)} is IPv6; egress over IPv6 is not supported yet. Give ${instead}.` : undefined;
}

function hostBitsComplaint(text: string): string | undefined {
  const [address = ""] = text.split("/");
  const canonical = canonicalCidr(text);
  if (canonical.startsWith(`${address}/`)) return undefined;
  return `${quote(text)} has host bits set. Write ${quote(canonical)}, or ${quote(address)} for the one address.`;
}
