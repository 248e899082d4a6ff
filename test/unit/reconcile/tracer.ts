import type { Table } from "../../../provider/kernel/iptables";
import type { World } from "./fake-world";
import { type Packet, parseMark, parseRule, type Target } from "./tracer-rule";

/** What becomes of a forwarded packet. */
export type Verdict =
  | { readonly kind: "dropped"; readonly by: string }
  | { readonly kind: "tunnel"; readonly underlay: string }
  | { readonly kind: "uplink"; readonly source: string };

/** A new connection of a pod of this node. */
export const fromPod = (source: string, destination: string): Packet => packet({ source, destination, in: "pod0" });

/** A new connection that comes out of the tunnel, from the node with that MAC. */
export const fromTunnel = (source: string, destination: string, mac: string): Packet =>
  packet({ source, destination, mac, in: "egw.vxlan" });

/** A packet of a pod's open connection that has that connmark. */
export const fromOpen = (source: string, destination: string, connmark: number): Packet =>
  packet({ source, destination, connmark, state: "ESTABLISHED", flags: ["ACK"], in: "pod0" });

function packet(change: Partial<Packet> & Pick<Packet, "source" | "destination" | "in">): Packet {
  return {
    protocol: "tcp",
    sport: 40000,
    dport: 443,
    flags: ["SYN"],
    mac: "0a:00:00:00:00:01",
    state: "NEW",
    direction: "ORIGINAL",
    out: "",
    mark: 0,
    connmark: 0,
    ...change,
  };
}

/** Follows one packet through the node: PREROUTING, routing, FORWARD, POSTROUTING. */
export function trace(world: World, original: Packet): Verdict {
  const p = { ...original };
  if (p.in === "egw.vxlan" && !world.links.get(p.in)?.up) return { kind: "dropped", by: "no device" };
  // nat is asked once a connection; an open connection of the tunnel's has no translation.
  const nat: Table[] = p.state === "NEW" ? ["nat"] : [];
  const drops = (hook: string, tables: readonly Table[]): string | undefined => {
    const table = tables.find((name) => walk(world, name, hook, p).kind === "drop");
    return table && `${table} ${hook}`;
  };
  const early = drops("PREROUTING", ["raw", "mangle", ...nat]);
  if (early) return { kind: "dropped", by: early };

  const route = lookUp(world, p);
  if (!route) return { kind: "dropped", by: "routing" };
  p.out = route.device;
  const late = drops("FORWARD", ["mangle", "filter"]) ?? drops("POSTROUTING", ["mangle"]);
  if (late) return { kind: "dropped", by: late };

  const translated = nat.length > 0 ? walk(world, "nat", "POSTROUTING", p) : { kind: "accept" as const };
  if (translated.kind === "drop") return { kind: "dropped", by: "nat POSTROUTING" };
  if (route.underlay !== undefined) {
    return translated.kind === "snat"
      ? { kind: "uplink", source: `${translated.source} inside the tunnel` }
      : { kind: "tunnel", underlay: route.underlay };
  }
  return { kind: "uplink", source: translated.kind === "snat" ? translated.source : p.source };
}

function lookUp(world: World, p: Packet): { device: string; underlay?: string } | undefined {
  for (const rule of [...world.rules].sort((a, b) => a.preference - b.preference)) {
    const { value, mask } =
      rule.selector === "" ? { value: 0, mask: 0 } : parseMark(rule.selector.replace("fwmark ", ""));
    if ((p.mark & mask) >>> 0 !== value) continue;
    const route = world.routes
      .filter(({ table, destination }) => table === rule.table && destination === "default")
      .sort((a, b) => a.metric - b.metric)[0];
    if (!route) continue;
    if (route.device === undefined) return undefined;
    if (!world.links.get(route.device)?.up) continue;
    // Without its neighbour a leg leads nowhere: nobody answers an ARP request in the tunnel.
    const hasNeighbour = world.neighbours.some(
      ({ device, address }) => device === route.device && address === route.via,
    );
    if (route.encap && !hasNeighbour) return undefined;
    return { device: route.device, underlay: route.encap?.underlay };
  }
  return undefined;
}

type Outcome = { readonly kind: "accept" | "drop" | "return" } | { readonly kind: "snat"; readonly source: string };

/** A table's chain at a hook. What it does to marks stays on the packet. */
function walk(world: World, table: Table, hook: string, p: Packet): Outcome {
  const chain = world.tables.get(table)?.get(hook);
  if (!chain) return { kind: "accept" };
  const outcome = walkChain(world, table, hook, p);
  return outcome.kind === "return" ? { kind: chain.policy === "DROP" ? "drop" : "accept" } : outcome;
}

function walkChain(world: World, table: Table, name: string, p: Packet): Outcome {
  const chains = world.tables.get(table);
  for (const text of chains?.get(name)?.rules ?? []) {
    const { matches, target } = parseRule(text);
    if (!matches.every((match) => match(p, world))) continue;
    if (chains?.has(target.name)) {
      const outcome = walkChain(world, table, target.name, p);
      if (outcome.kind !== "return") return outcome;
      if (target.isGoto) return outcome;
      continue;
    }
    const outcome = hit(world, target, p, text);
    if (outcome) return outcome;
  }
  return { kind: "return" };
}

/** What a target does; undefined where the packet goes on to the next rule. */
function hit(world: World, { name, options }: Target, p: Packet, text: string): Outcome | undefined {
  switch (name) {
    case "ACCEPT":
      return { kind: "accept" };
    case "DROP":
    case "REJECT":
      return { kind: "drop" };
    case "RETURN":
      return { kind: "return" };
    case "TCPMSS":
      return undefined;
    case "MARK":
      p.mark = xmark(p.mark, parseMark(options.get("--set-xmark") ?? "unknown"));
      return undefined;
    case "CONNMARK":
      hitConnmark(options, p, text);
      return undefined;
    case "SNAT":
      return { kind: "snat", source: options.get("--to-source") ?? "" };
    case "MASQUERADE": {
      const address = world.addresses.find(({ device }) => device === p.out)?.address;
      return address === undefined ? { kind: "drop" } : { kind: "snat", source: address };
    }
    default:
      throw new Error(`the tracer doesn't know the target of: ${text}`);
  }
}

function hitConnmark(options: ReadonlyMap<string, string>, p: Packet, text: string): void {
  const nfmask = Number(options.get("--nfmask"));
  const ctmask = Number(options.get("--ctmask"));
  const set = options.get("--set-xmark");
  if (set !== undefined) p.connmark = xmark(p.connmark, parseMark(set));
  else if (options.has("--save-mark")) p.connmark = xmark(p.connmark, { value: (p.mark & nfmask) >>> 0, mask: ctmask });
  else if (options.has("--restore-mark")) p.mark = xmark(p.mark, { value: (p.connmark & ctmask) >>> 0, mask: nfmask });
  else throw new Error(`the tracer doesn't know: ${text}`);
}

function xmark(mark: number, { value, mask }: { value: number; mask: number }): number {
  return ((mark & ~mask) ^ value) >>> 0;
}
