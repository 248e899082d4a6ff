import { formatNetwork, parseNetwork } from "../model/address";
import { decode, encode, MAPS, type StructName, type Values } from "./bpf-layout";
import { type Kind, lines } from "./kind";

/** The maps whose entries we say; what programs write themselves is nobody's drift. */
export const ENTRY_MAPS = [
  "egw_policies",
  "egw_sources",
  "egw_peers",
  "egw_underlays",
  "egw_egress_ips",
  "egw_fleet",
  "egw_pods",
] as const;
type EntryMap = (typeof ENTRY_MAPS)[number];

/** An entry of a map, in hexadecimal digits as it lies in memory. */
export interface BpfEntry {
  readonly kind: "bpf-entry";
  readonly map: string;
  readonly key: string;
  readonly value: string;
}

const hexOf = (bytes: Buffer): string => bytes.toString("hex");
const entry = (map: EntryMap, key: Buffer, value: Buffer): BpfEntry => ({
  kind: "bpf-entry",
  map,
  key: hexOf(key),
  value: hexOf(value),
});
const addressBytes = (address: string): Buffer => Buffer.from(address.split(".").map(Number));
/** `struct egw_mac`: six bytes and two that are zero. */
const macBytes = (mac: string): Buffer => Buffer.from(`${mac.replaceAll(":", "")}0000`, "hex");

/** Length of the whole part of a policy's key: the source. */
const SOURCE_BITS = 32;

export const policyEntry = (
  key: Omit<Values<"egw_policy_key">, "prefix_length">,
  length: number,
  value: Values<"egw_policy">,
): BpfEntry =>
  entry(
    "egw_policies",
    encode("egw_policy_key", { ...key, prefix_length: SOURCE_BITS + length }),
    encode("egw_policy", value),
  );
export const sourceEntry = (key: Values<"egw_source_key">, group: string): BpfEntry =>
  entry("egw_sources", encode("egw_source_key", key), addressBytes(group));
export const peerEntry = (underlay: string, mac: string): BpfEntry =>
  entry("egw_peers", addressBytes(underlay), macBytes(mac));
export const underlayEntry = (mac: string, underlay: string): BpfEntry =>
  entry("egw_underlays", macBytes(mac), addressBytes(underlay));
export const egressIPEntry = (address: string): BpfEntry =>
  entry("egw_egress_ips", addressBytes(address), Buffer.from([1, 0, 0, 0]));
export const fleetEntry = (underlay: string): BpfEntry =>
  entry("egw_fleet", addressBytes(underlay), Buffer.from([1, 0, 0, 0]));
/** A gateway pod, by its address. */
export const podEntry = (address: string): BpfEntry =>
  entry("egw_pods", addressBytes(address), Buffer.from([1, 0, 0, 0]));

export const bpfEntry: Kind<BpfEntry> = {
  kind: "bpf-entry",
  ownership: "it is in a map of ours",
  key: (o) => `bpf-entry ${o.map} ${words(o, "key")}`,
  text: (o) => `${bpfEntry.key(o)}: ${words(o, "value")}`,
  // entry MAP KEY VALUE
  parse: (output) =>
    lines(output).flatMap((line) => {
      const [word, map = "", key = "", value = ""] = line.split(" ");
      return word === "entry" ? [{ kind: "bpf-entry" as const, map, key, value }] : [];
    }),
};

const bytesOf = (hex: string): Buffer => Buffer.from(hex, "hex");
const address = (bytes: Buffer): string => [...bytes.subarray(0, 4)].join(".");
/** A key with anything behind its MAC is another key. */
const mac = (bytes: Buffer): string =>
  bytes.readUInt16LE(6) === 0 ? (hexOf(bytes.subarray(0, 6)).match(/../g) ?? []).join(":") : hexOf(bytes);
/** Behind its length the bits of a network don't count. */
function network(base: string, length: number): string {
  const found = parseNetwork(`${base}/${length}`);
  return found ? formatNetwork(found) : `${base}/${length}`;
}
const struct =
  <N extends StructName>(name: N, words: (values: Values<N>) => string) =>
  (bytes: Buffer): string =>
    words(decode(name, bytes));

/** What is not as our layout has it is shown as it lies in memory: a map that somebody made again can have anything in it. */
function words(o: BpfEntry, part: "key" | "value"): string {
  const map = o.map as EntryMap;
  const bytes = bytesOf(o[part]);
  return bytes.length === MAPS[map]?.[part] && map in WORDS ? WORDS[map][part](bytes) : o[part];
}

/** How people read keys and values. */
const WORDS: Readonly<
  Record<EntryMap, { readonly key: (bytes: Buffer) => string; readonly value: (bytes: Buffer) => string }>
> = {
  egw_policies: {
    key: struct("egw_policy_key", (o) => `${o.source} to ${network(o.destination, o.prefix_length - SOURCE_BITS)}`),
    value: struct("egw_policy", (o) => `egress IP ${o.egress_ip} gateway ${o.gateway}`),
  },
  egw_sources: { key: struct("egw_source_key", (o) => network(o.source, o.prefix_length)), value: address },
  egw_peers: { key: address, value: mac },
  egw_underlays: { key: mac, value: address },
  egw_egress_ips: { key: address, value: (bytes) => String(bytes.readUInt32LE()) },
  egw_fleet: { key: address, value: (bytes) => String(bytes.readUInt32LE()) },
  egw_pods: { key: address, value: (bytes) => String(bytes.readUInt32LE()) },
};
