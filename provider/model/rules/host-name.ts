import { parseAddress } from "../address";
import type { Problem } from "../args";
import { type At, text } from "../at";
import { quote } from "../problem";
import { ipv6Complaint } from "./ipv4-text";
import { problemAt } from "./rule";

const LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*\\.?$`);

/** What is dialled is a host name or an IPv4 address, nothing around it. */
export function hostNameRule(place: At): Problem[] {
  const host = text(place);
  return host === undefined || host === "" ? [] : problemAt(place, complaint(host));
}

function complaint(host: string): string | undefined {
  if (parseAddress(host) !== undefined) return undefined;
  const ipv6 = ipv6Complaint(host, "a host name or an IPv4 address");
  if (ipv6 !== undefined) return ipv6;
  // Not repeated: there may be a password in front of the @.
  if (host.includes("@")) return 'The host has a login name in it. Give the login name as "user".';
  if (/^[^:]+:\d+$/.test(host)) return `${quote(host)} has a port in it. Give the port as "port".`;
  // Names of digits and dots only are mistyped addresses.
  if (/^[\d.]+$/.test(host) || host.length > 253 || !HOST_NAME.test(host)) {
    return `${quote(host)} is not a host name or an IPv4 address.`;
  }
  return undefined;
}
