/** An IPv4 address in dotted form. */
export type Address = string;
/** An IPv4 network in canonical form: host bits zero, prefix length always present. */
export type Cidr = string;

export interface Network {
  readonly base: number;
  readonly length: number;
}

// No leading zeros: some tools take such an octet as octal.
const OCTETS = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const POWERS = Array.from({ length: 33 }, (_, i) => 2 ** i);
const size = (length: number): number => POWERS[32 - length] ?? 1;

/** An address with the bits behind a prefix of that length off. */
export const masked = (address: number, length: number): number => address - (address % size(length));

/** Dotted form to a number in [0, 2^32); undefined if it is not four decimal octets. */
export function parseAddress(text: string): number | undefined {
  const octets = OCTETS.exec(text);
  if (octets === null) return undefined;
  let n = 0;
  for (let i = 1; i <= 4; i++) {
    const octet = Number(octets[i]);
    if (octet > 255) return undefined;
    n = n * 256 + octet;
  }
  return n;
}

/** A number in [0, 2^32) to dotted form. */
export function formatAddress(n: number): Address {
  return [n / 2 ** 24, n / 2 ** 16, n / 2 ** 8, n].map((part) => Math.floor(part) % 256).join(".");
}

/** `a.b.c.d/n` or a plain address (= /32); host bits are cut off. Undefined if it is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [address = "", prefix = "32", ...rest] = text.split("/");
  const base = parseAddress(address);
  if (base === undefined || rest.length > 0 || !/^(0|[1-9]\d?)$/.test(prefix)) return undefined;
  const length = Number(prefix);
  if (length > 32) return undefined;
  return { base: masked(base, length), length };
}

/** The canonical text of a network. */
export function formatNetwork(network: Network): Cidr {
  return `${formatAddress(network.base)}/${network.length}`;
}

/** Canonical form of a network that has been validated before; throws on anything else. */
export function canonicalCidr(text: string): Cidr {
  return formatNetwork(mustParse(text));
}

/** True if every address of `inner` is in `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  return holds(mustParse(outer), mustParse(inner));
}

/** True if the two networks share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  const one = mustParse(a);
  const two = mustParse(b);
  return holds(one, two) || holds(two, one);
}

/** Sorted by address, then by length; equal ones once; networks inside another one dropped. */
export function minimalCover(cidrs: readonly Cidr[]): Cidr[] {
  const sorted = sortNetworks(cidrs.map(mustParse));
  const kept: Network[] = [];
  for (const network of sorted) {
    const last = kept.at(-1);
    if (!last || !holds(last, network)) kept.push(network);
  }
  return kept.map(formatNetwork);
}

/** Sorts canonical CIDRs by address, then by prefix length. */
export function sortCidrs(cidrs: readonly Cidr[]): Cidr[] {
  return sortNetworks(cidrs.map(mustParse)).map(formatNetwork);
}

/** `a`, `a-b` or a CIDR to its addresses in ascending order; undefined if malformed. At most `limit` addresses. */
export function parseAddressRange(text: string, limit = 1024): Address[] | undefined {
  const bounds = parseBounds(text);
  return bounds === undefined || bounds.count > limit ? undefined : sequence(bounds.from, bounds.count);
}

/** The first address of `a`, `a-b` or a CIDR and how many it has, without listing them; undefined if malformed. */
export function parseBounds(text: string): { from: number; count: number } | undefined {
  const [from, to, ...rest] = text.split("-").map((part) => part.trim());
  if (from === undefined || rest.length > 0) return undefined;
  if (to === undefined) {
    const network = parseNetwork(from);
    return network && { from: network.base, count: size(network.length) };
  }
  const a = parseAddress(from);
  const b = parseAddress(to);
  return a === undefined || b === undefined || b < a ? undefined : { from: a, count: b - a + 1 };
}

/** The `n`th address of a network, counted from its base. */
export function nthAddress(cidr: Cidr, n: number): Address {
  return formatAddress(mustParse(cidr).base + n);
}

/** How many addresses a network has. */
export function networkSize(cidr: Cidr): number {
  return size(mustParse(cidr).length);
}

const sequence = (from: number, count: number): Address[] =>
  Array.from({ length: count }, (_, i) => formatAddress(from + i));

function holds(outer: Network, inner: Network): boolean {
  return outer.length <= inner.length && masked(inner.base, outer.length) === outer.base;
}

function sortNetworks(networks: readonly Network[]): Network[] {
  const sorted = [...networks].sort((a, b) => a.base - b.base || a.length - b.length);
  return sorted.filter((n, i) => i === 0 || n.base !== sorted[i - 1]?.base || n.length !== sorted[i - 1]?.length);
}

function mustParse(text: string): Network {
  const network = parseNetwork(text);
  if (!network) throw new Error(`not an IPv4 network: ${JSON.stringify(text)}`);
  return network;
}
