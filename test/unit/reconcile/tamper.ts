import type { KernelObject } from "../../../provider/kernel/state";
import { runIpLine } from "./fake-ip";
import type { FakeNode } from "./fake-node";
import { type FakeChain, ToolError, type World } from "./fake-world";
import { type Of, type Tamper, tamper } from "./hand";
import { BPF_TAMPERS } from "./tamper-bpf";

/** `ip` lines that a person types. */
const ip =
  (...lines: readonly string[]) =>
  (world: World): void => {
    for (const line of lines) runIpLine(world, line);
  };

const labelled = ({ label }: Of<"address">): string => (label === "" ? "" : ` label ${label}`);

export const TAMPERS: readonly Tamper[] = [
  tamper("link", "removed", "missing", (world, o) => ip(`link del ${o.name}`)(world)),
  tamper("link", "down", "changed", (world, o) => ip(`link set ${o.name} down`)(world)),
  tamper("link", "with another MTU", "changed", (world, o) => ip(`link set ${o.name} mtu 1300`)(world)),
  tamper("link", "with another MAC", "changed", (world, o) =>
    ip(`link set ${o.name} address 02:00:00:00:00:01`)(world),
  ),
  tamper("link", "made again with another port", "changed", (world, o) =>
    ip(
      `link del ${o.name}`,
      `link add ${o.name} address ${o.mac} mtu ${o.mtu} type vxlan external dstport 4789`,
    )(world),
  ),
  tamper("link", "under a master", "changed", (world, o) => ip(`link set ${o.name} master eth0`)(world)),
  tamper("sysctl", "changed", "changed", (world, o) => {
    world.sysctls.set(o.name, o.value === "1" ? "0" : "1");
  }),
  tamper("address", "removed", "missing", (world, o) => ip(`addr del ${o.address}/32 dev ${o.device}`)(world)),
  tamper("address", "added", "extra", (world, o) =>
    ip(`addr add 192.0.2.99/32 dev ${o.device} label ${o.label === "" ? o.device : o.label}`)(world),
  ),
  tamper("address", "of another length", "changed", (world, o) =>
    ip(`addr add ${o.address}/24 dev ${o.device}${labelled(o)}`, `addr del ${o.address}/32 dev ${o.device}`)(world),
  ),
  tamper("address", "of another length beside it", "extra", (world, o) =>
    ip(`addr add ${o.address}/24 dev ${o.device}${labelled(o)}`)(world),
  ),
  tamper("address", "of another scope", "changed", (world, o) => {
    for (const one of world.addresses) if (one.address === o.address) one.scope = "link";
  }),
  tamper("address", "with a label on the tunnel", "changed", (world, o) => {
    for (const one of world.addresses) if (one.address === o.address) one.label = `${o.device}:egw`;
    return o.label === "";
  }),
  tamper("neighbour", "removed", "missing", (world, o) => ip(`neigh del ${o.address} dev ${o.device}`)(world)),
  tamper("neighbour", "changed", "changed", (world, o) =>
    ip(`neigh replace ${o.address} lladdr 02:00:00:00:00:01 dev ${o.device} nud permanent`)(world),
  ),
  tamper("neighbour", "added", "extra", (world, o) =>
    ip(`neigh replace 100.126.99.99 lladdr 02:00:00:00:00:01 dev ${o.device} nud permanent`)(world),
  ),
  tamper("route", "removed", "missing", (world, o) => {
    world.routes = world.routes.filter((r) => r.table !== o.table || (r.type === "unicast") !== (o.leg !== undefined));
  }),
  tamper("route", "to another peer", "changed", (world, o) =>
    o.leg
      ? ip(
          `route replace default via ${o.leg.via} dev ${o.leg.device} onlink table ${o.table} proto 38 encap ip id 1 dst 192.168.0.99`,
        )(world)
      : false,
  ),
  tamper("route", "by the uplink", "changed", (world, o) =>
    o.leg ? ip(`route replace default via 192.168.0.1 dev eth0 table ${o.table} proto 38`)(world) : false,
  ),
  tamper("route", "with another metric added", "extra", (world, o) =>
    ip(`route replace default via 192.168.0.1 dev eth0 metric 5 table ${o.table} proto 38`)(world),
  ),
  tamper("route", "by the uplink without our protocol", "changed", (world, o) =>
    o.leg ? ip(`route replace default via 192.168.0.1 dev eth0 table ${o.table}`)(world) : false,
  ),
  tamper("route", "without our protocol added", "extra", (world, o) =>
    ip(`route replace 203.0.113.0/24 via 192.168.0.1 dev eth0 table ${o.table} proto 16`)(world),
  ),
  tamper(
    "route",
    "in another table added",
    "extra",
    ip("route replace unreachable default metric 4096 table 3999 proto 38"),
  ),
  tamper("ip-rule", "removed", "missing", (world, o) => {
    world.rules = world.rules.filter((r) => r.protocol !== 38 || r.table !== o.table);
  }),
  tamper("ip-rule", "to another table", "changed", (world, o) => {
    for (const rule of world.rules) if (rule.protocol === 38 && rule.table === o.table) rule.table = 3998;
  }),
  tamper("ip-rule", "in front added", "extra", (world, o) => {
    const ours = world.rules.find((rule) => rule.protocol === 38 && rule.table === o.table);
    if (!ours) return false;
    world.rules.unshift({ ...ours, preference: 4000, table: 254 });
  }),
  tamper("ip-rule", "added", "extra", ip("rule add pref 5000 fwmark 0x26777700/0xffff3f00 table 254 protocol 38")),
  tamper("ipset", "removed", "missing", (world, o) => {
    removeRules(world, (rule) => rule.includes(`--match-set ${o.name} `));
    world.sets.delete(o.name);
  }),
  tamper("ipset", "made again with another type", "changed", (world, o) => {
    removeRules(world, (rule) => rule.includes(`--match-set ${o.name} `));
    world.sets.set(o.name, {
      type: "hash:ip",
      timeout: 0,
      maxElements: 1048576,
      members: new Map([["10.9.9.9", false]]),
    });
  }),
  tamper("ipset", "made again with another type under its rules", "changed", (world, o) => {
    if (o.type !== "hash:net") return false;
    world.sets.set(o.name, { type: "hash:ip", timeout: 0, maxElements: 1048576, members: new Map() });
    return true;
  }),
  tamper("ipset", "swapped for one of another size", "changed", (world, o) => {
    const { type = o.type, members = new Map() } = world.sets.get(o.name) ?? {};
    world.sets.set(o.name, { type, timeout: o.timeout, maxElements: 65536, members });
  }),
  tamper("ipset", "swapped for one with another timeout", "changed", (world, o) => {
    world.sets.set(o.name, { type: o.type, timeout: 60, maxElements: 1048576, members: new Map() });
  }),
  tamper("ipset", "swapped for one without comments", "changed", (world, o) => {
    const { type = o.type, members = new Map() } = world.sets.get(o.name) ?? {};
    if (o.timeout === 0) return false;
    world.sets.set(o.name, { type, timeout: o.timeout, maxElements: 1048576, extras: " counters", members });
    return true;
  }),
  tamper("ipset", "swapped for one whose members can expire", "changed", (world, o) => {
    const { type = o.type, members = new Map() } = world.sets.get(o.name) ?? {};
    if (o.timeout > 0) return false;
    world.sets.set(o.name, { type, timeout: 0, maxElements: 1048576, extras: " timeout 0", members });
    return true;
  }),
  tamper("ipset", "added", "extra", (world) => {
    world.sets.set("egw-more", {
      type: "hash:net",
      timeout: 0,
      maxElements: 1048576,
      members: new Map([["10.9.9.9", false]]),
    });
  }),
  tamper("ipset-member", "removed", "missing", (world, o) => {
    world.sets.get(o.set)?.members.delete(o.element);
  }),
  tamper("ipset-member", "turned around", "changed", (world, o) => {
    world.sets.get(o.set)?.members.set(o.element, !o.nomatch);
  }),
  tamper("ipset-member", "added", "extra", (world, o) => {
    world.sets.get(o.set)?.members.set("198.18.0.1", false);
  }),
  tamper("chain", "removed", "missing", (world, o) => {
    removeRules(world, (rule) => new RegExp(` ?-[jg] ${o.name}$`).test(rule));
    world.tables.get(o.table)?.delete(o.name);
  }),
  tamper("chain", "added", "extra", (world, o) => {
    world.tables.get(o.table)?.set("EGRESSGATEWAY-MORE", { rules: ["-j RETURN"] });
  }),
  tamper("chain-rule", "removed", "missing", (world, o) => {
    const rules = chainOf(world, o).rules;
    rules.splice(rules.indexOf(o.rule), 1);
  }),
  tamper("chain-rule", "changed", "missing", (world, o) => {
    const rules = chainOf(world, o).rules;
    rules.splice(rules.indexOf(o.rule), 1, "-s 10.9.9.9/32 -j RETURN");
  }),
  tamper("chain-rule", "doubled", "extra", (world, o) => {
    chainOf(world, o).rules.unshift(o.rule);
  }),
  tamper("chain-rule", "moved", "changed", (world, o) => {
    const rules = chainOf(world, o).rules;
    if (rules.length < 2) return false;
    rules.push(...rules.splice(rules.indexOf(o.rule) === rules.length - 1 ? 0 : rules.indexOf(o.rule), 1));
  }),
  tamper("hook", "removed", "missing", (world, o) => {
    const rules = chainOf(world, o).rules;
    rules.splice(rules.indexOf(o.rule), 1);
  }),
  tamper("hook", "doubled", "extra", (world, o) => {
    const rules = chainOf(world, o).rules;
    rules.splice(rules.indexOf(o.rule), 0, o.rule);
  }),
  tamper("hook", "with a foreign rule on the wrong side", "changed", (world, o) => {
    chainOf(world, o).rules[o.place === "first" ? "unshift" : "push"]("-s 10.8.8.8/32 -j ACCEPT");
  }),
  tamper("hook", "behind all others of its chain", "changed", (world, o) => {
    const rules = chainOf(world, o).rules;
    if (rules.length < 2) return false;
    if (rules.at(-1) === o.rule) rules.unshift(...rules.splice(-1, 1));
    else rules.push(...rules.splice(rules.indexOf(o.rule), 1));
  }),
  tamper("hook", "as a goto added", "extra", (world, o) => {
    chainOf(world, o).rules.push(o.rule.replace(/-j (\S+)$/, "-g $1"));
  }),
  tamper("hook", "in another chain added", "extra", (world) => {
    world.tables.get("mangle")?.get("OUTPUT")?.rules.push("-j EGRESSGATEWAY-KEEP-MARK");
  }),
  ...BPF_TAMPERS,
];

function chainOf({ tables }: World, { table, chain }: Of<"chain-rule"> | Of<"hook">): FakeChain {
  const found = tables.get(table)?.get(chain);
  if (!found) throw new Error(`no chain ${table} ${chain}`);
  return found;
}

function removeRules({ tables }: World, isGone: (rule: string) => boolean): void {
  for (const chains of tables.values()) {
    for (const chain of chains.values()) chain.rules = chain.rules.filter((rule) => !isGone(rule));
  }
}

/** Tampers with a node if it still has the object; what an earlier hand has taken away can't be tampered with again. */
export function tamperWith(
  node: FakeNode,
  { by, kind }: Tamper,
  object: KernelObject,
  textOf: (o: KernelObject) => string,
): boolean {
  const isThere = node.read().some((o) => o.kind === kind && textOf(o) === textOf(object));
  try {
    return isThere && by(node.world, object);
  } catch (error) {
    // A tool refuses what another hand has done before.
    if (error instanceof ToolError) return false;
    throw error;
  }
}
