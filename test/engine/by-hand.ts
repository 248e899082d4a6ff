import { execOk, type Lab } from "../lab";

/** An object that a person removed from a node, and how a person would put it back. */
export interface Removed {
  readonly node: string;
  readonly kind: "rule" | "ipset member" | "route" | "address";
  readonly command: readonly string[];
  /** How a preview must name it, to the end or to the last word that is certain. */
  readonly shows: string;
  readonly undo: readonly string[];
}

/** The rule of nat PREROUTING that chooses the connections of a policy. */
export async function removeChoosingRule(lab: Lab, node: string): Promise<Removed> {
  const rules = await execOk(lab, node, ["iptables-save", "-t", "nat"]);
  const rule = lineOf(rules, /^-A \S+ .*--match-set egw-s-\S+ src.* -j MARK/).slice("-A ".length);
  const words = rule.split(" ");
  return remove(lab, {
    node,
    kind: "rule",
    command: ["iptables", "-t", "nat", "-D", ...words],
    shows: `missing  iptables nat ${rule}`,
    undo: ["iptables", "-t", "nat", "-A", ...words],
  });
}

/** A selected pod's address from the set of a policy's sources. */
export async function removeSource(lab: Lab, node: string, address: string): Promise<Removed> {
  const sets = await execOk(lab, node, ["ipset", "save"]);
  const [, set = ""] = lineOf(sets, new RegExp(`^add egw-s-\\S+ ${escaped(address)}$`)).split(" ");
  return removeMember(lab, node, set, address);
}

/** A network of the cluster itself from the set of what never leaves by an egress IP. */
export function removeIgnored(lab: Lab, node: string, network: string): Promise<Removed> {
  return removeMember(lab, node, "egw-ignore", network);
}

function removeMember(lab: Lab, node: string, set: string, member: string): Promise<Removed> {
  return remove(lab, {
    node,
    kind: "ipset member",
    command: ["ipset", "del", set, member],
    shows: `missing  ipset-member ${set} ${member}`,
    undo: ["ipset", "add", set, member],
  });
}

/** The route of the leg towards a gateway node. */
export async function removeLegRoute(lab: Lab, node: string, gateway: string): Promise<Removed> {
  const routes = await execOk(lab, node, ["ip", "route", "show", "table", "all"]);
  const route = lineOf(routes, new RegExp(`^default .* dst ${escaped(gateway)} .* table \\d+`));
  const table = / table (\d+)/.exec(route)?.[1] ?? "";
  const via = / via (\S+)/.exec(route)?.[1] ?? "";
  const leg = `default encap ip id 4097 dst ${gateway} via ${via} dev egw.vxlan table ${table} proto 38 onlink`;
  return remove(lab, {
    node,
    kind: "route",
    command: ["ip", "route", "del", "default", "via", via, "dev", "egw.vxlan", "table", table],
    shows: `missing  route default table ${table} `,
    undo: ["ip", "route", "add", ...leg.split(" ")],
  });
}

/** An egress address from its gateway node. */
export async function removeAddress(lab: Lab, node: string, address: string): Promise<Removed> {
  const line = lineOf(await execOk(lab, node, ["ip", "-o", "addr"]), new RegExp(` ${escaped(address)}/`));
  const [, device = "", , cidr = ""] = line.split(/\s+/);
  const label = / (\S+:egw)/.exec(line)?.[1];
  return remove(lab, {
    node,
    kind: "address",
    command: ["ip", "addr", "del", cidr, "dev", device],
    shows: `missing  address ${cidr} dev ${device}`,
    undo: ["ip", "addr", "add", cidr, "dev", device, ...(label === undefined ? [] : ["label", label])],
  });
}

async function remove(lab: Lab, removed: Removed): Promise<Removed> {
  await execOk(lab, removed.node, removed.command);
  return removed;
}

export async function putBack(lab: Lab, removed: Removed): Promise<void> {
  await execOk(lab, removed.node, removed.undo);
}

function lineOf(text: string, pattern: RegExp): string {
  const found = text.split("\n").find((line) => pattern.test(line));
  if (found === undefined) throw new Error(`nothing on the node matches ${pattern}:\n${text}`);
  return found.trim();
}

const escaped = (text: string): string => text.replaceAll(".", "\\.");
