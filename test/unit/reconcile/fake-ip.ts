import { removeFilters } from "./fake-bpf";
import { type FakeLink, type FakeRoute, ToolError, type World } from "./fake-world";

interface IpCommand {
  readonly pattern: RegExp;
  readonly run: (world: World, words: string[]) => void;
}

/** One line of `ip -batch`. Throws ToolError where the kernel refuses, and Error for a line that it doesn't know. */
export function runIpLine(world: World, line: string): void {
  const command = COMMANDS.find(({ pattern }) => pattern.test(line));
  if (!command) throw new Error(`the fake doesn't know this ip command: ${line}`);
  command.run(world, command.pattern.exec(line)?.slice(1) ?? []);
}

const COMMANDS: readonly IpCommand[] = [
  { pattern: /^link add (\S+) address (\S+) mtu (\d+) type vxlan external dstport (\d+)$/, run: addLink },
  { pattern: /^link set (\S+) (up|down)$/, run: switchLink },
  { pattern: /^link set (\S+) address (\S+)$/, run: setMac },
  { pattern: /^link set (\S+) (?:nomaster|master (\S+))$/, run: setMaster },
  {
    pattern: /^link set (\S+) mtu (\d+)$/,
    run: (world, [name = "", mtu]) => Object.assign(linkOf(world, name), { mtu: Number(mtu) }),
  },
  { pattern: /^link del (\S+)$/, run: removeLink },
  {
    pattern: /^addr add (\S+)\/(\d+) dev (\S+)(?: scope (\S+))?(?: label (\S+)| metric (\d+))?(?: noprefixroute)?$/,
    run: addAddress,
  },
  { pattern: /^addr del (\S+)\/(\d+) dev (\S+)$/, run: removeAddress },
  { pattern: /^neigh replace (\S+) lladdr (\S+) dev (\S+) nud permanent$/, run: replaceNeighbour },
  { pattern: /^neigh del (\S+) dev (\S+)$/, run: removeNeighbour },
  { pattern: /^route replace (.*)$/, run: (world, [words = ""]) => replaceRoute(world, parseRoute(words)) },
  { pattern: /^route del (.*)$/, run: (world, [words = ""]) => removeRoute(world, words) },
  { pattern: /^rule add pref (\d+) (fwmark \S+) table (\d+) protocol (\d+)$/, run: addRule },
  { pattern: /^rule del pref (\d+) (fwmark \S+) table (\d+) protocol (\d+)$/, run: removeRule },
];

function linkOf(world: World, name: string): FakeLink {
  const link = world.links.get(name);
  if (!link) throw new ToolError(`Cannot find device "${name}"`);
  return link;
}

function addLink(world: World, [name = "", mac = "", mtu, port]: readonly string[]): void {
  const isTaken = world.links.has(name) || [...world.links.values()].some((link) => link.port === Number(port));
  if (isTaken) throw new ToolError("RTNETLINK answers: File exists");
  world.links.set(name, { index: world.numbers.next++, mac, mtu: Number(mtu), port: Number(port), up: false });
  world.sysctls.set(`net/ipv4/conf/${name}/rp_filter`, "0");
  world.sysctls.set(`net/ipv4/conf/${name}/forwarding`, "0");
}

/** Down takes the routes and the neighbours; up brings neither back. Addresses and settings stay. */
function switchLink(world: World, [name = "", to]: readonly string[]): void {
  linkOf(world, name).up = to === "up";
  if (to === "down") dropPaths(world, name);
}

/** A new MAC takes the neighbours along, permanent ones too (kernel: neigh_changeaddr). */
function setMac(world: World, [name = "", mac = ""]: readonly string[]): void {
  const link = linkOf(world, name);
  if (link.mac !== mac) world.neighbours = world.neighbours.filter(({ device }) => device !== name);
  link.mac = mac;
}

/** A bridge takes it as it is; who has one is not asked to give it up first. */
function setMaster(world: World, [name = "", master]: readonly (string | undefined)[]): void {
  const link = linkOf(world, name);
  if (master !== undefined) linkOf(world, master);
  link.master = master;
}

function removeLink(world: World, [name = ""]: readonly string[]): void {
  linkOf(world, name);
  world.links.delete(name);
  removeFilters(world, name);
  world.addresses = world.addresses.filter(({ device }) => device !== name);
  for (const setting of [...world.sysctls.keys()]) if (setting.includes(`/${name}/`)) world.sysctls.delete(setting);
  dropPaths(world, name);
}

function dropPaths(world: World, name: string): void {
  world.routes = world.routes.filter(({ device }) => device !== name);
  world.neighbours = world.neighbours.filter(({ device }) => device !== name);
}

function addAddress(
  world: World,
  [address = "", length, device = "", scope = "global", label = device, metric = "0"]: readonly (string | undefined)[],
): void {
  linkOf(world, device);
  if (label.length > 15 || !label.startsWith(device)) throw new ToolError("Error: Attribute failed policy validation.");
  const isThere = world.addresses.some(
    (a) => a.device === device && a.address === address && a.length === Number(length),
  );
  if (isThere) throw new ToolError("Error: ipv4: Address already assigned.");
  world.addresses.push({ device, address, length: Number(length), scope, label, metric: Number(metric) });
}

/** With its last address a device loses its routes and neighbours (kernel: fib_del_ifaddr, fib_disable_ip). */
function removeAddress(world: World, [address, length, device = ""]: readonly string[]): void {
  linkOf(world, device);
  const index = world.addresses.findIndex(
    (a) => a.device === device && a.address === address && a.length === Number(length),
  );
  if (index < 0) throw new ToolError("Error: ipv4: Address not found.");
  world.addresses.splice(index, 1);
  if (!world.addresses.some((a) => a.device === device)) dropPaths(world, device);
}

function replaceNeighbour(world: World, [address = "", mac = "", device = ""]: readonly string[]): void {
  linkOf(world, device);
  world.neighbours = world.neighbours.filter((n) => n.device !== device || n.address !== address);
  world.neighbours.push({ device, address, mac });
}

function removeNeighbour(world: World, [address, device = ""]: readonly string[]): void {
  linkOf(world, device);
  const index = world.neighbours.findIndex((n) => n.device === device && n.address === address);
  if (index < 0) throw new ToolError("RTNETLINK answers: No such file or directory");
  world.neighbours.splice(index, 1);
}

/** `replace` takes the place of the first route with the same destination and metric, whatever else it is. */
function replaceRoute(world: World, route: FakeRoute): void {
  if (route.device !== undefined) {
    if (!linkOf(world, route.device).up) throw new ToolError("Error: Nexthop device is not up.");
    const hasAddress = world.addresses.some(({ device }) => device === route.device);
    if (!hasAddress) throw new ToolError("Error: Nexthop has invalid gateway.");
  }
  const index = world.routes.findIndex(
    (r) => r.table === route.table && r.destination === route.destination && r.metric === route.metric,
  );
  if (index < 0) world.routes.push(route);
  else world.routes[index] = route;
}

/** What is not said matches anything; routes with a smaller metric are met first (kernel: fib_table_delete). */
function removeRoute(world: World, words: string): void {
  const wanted = parseRoute(words);
  const hasType = /^(unicast|unreachable) /.test(words);
  const found = world.routes
    .filter((r) => r.table === wanted.table && r.destination === wanted.destination)
    .filter((r) => !hasType || r.type === wanted.type)
    .filter((r) => wanted.via === undefined || r.via === wanted.via)
    .filter((r) => wanted.device === undefined || r.device === wanted.device)
    .filter((r) => wanted.encap === undefined || r.encap?.underlay === wanted.encap.underlay)
    .filter((r) => wanted.metric === 0 || r.metric === wanted.metric)
    .filter((r) => wanted.protocol === 0 || r.protocol === wanted.protocol)
    .sort((a, b) => a.metric - b.metric)[0];
  if (!found) throw new ToolError("RTNETLINK answers: No such process");
  world.routes.splice(world.routes.indexOf(found), 1);
}

/** `[TYPE] DESTINATION` and then, in any order, what `ip route` knows. */
function parseRoute(text: string): FakeRoute {
  const words = text.split(" ");
  const type = words[0] === "unreachable" ? "unreachable" : "unicast";
  if (words[0] === type) words.shift();
  const route: FakeRoute = { type, destination: words.shift() ?? "", table: 254, metric: 0, protocol: 0 };
  const value = (): string => words.shift() ?? "";
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "table") route.table = Number(value());
    else if (word === "metric") route.metric = Number(value());
    else if (word === "proto") route.protocol = Number(value());
    else if (word === "via") route.via = value();
    else if (word === "dev") route.device = value();
    else if (word === "encap") route.encap = parseEncap(words);
    else if (word !== "onlink") throw new Error(`the fake doesn't know "${word}" in: route ${text}`);
  }
  return route;
}

/** `ip id N [src A] dst B [ttl N] [tos N]`; what follows is left in `words`. */
function parseEncap(words: string[]): { id: number; underlay: string } {
  const match = /^ip id (\d+)(?: src \S+)? dst (\S+)(?: ttl 0 tos 0)?(?: (.*))?$/.exec(words.join(" "));
  if (!match) throw new Error(`the fake doesn't know this encap: ${words.join(" ")}`);
  words.splice(0, words.length, ...(match[3]?.split(" ") ?? []));
  return { id: Number(match[1]), underlay: match[2] ?? "" };
}

function ruleIndex(world: World, [preference, selector, table, protocol]: readonly string[]): number {
  return world.rules.findIndex(
    (r) =>
      r.preference === Number(preference) &&
      r.selector === selector &&
      r.table === Number(table) &&
      r.protocol === Number(protocol),
  );
}

function addRule(world: World, words: readonly string[]): void {
  if (ruleIndex(world, words) >= 0) throw new ToolError("RTNETLINK answers: File exists");
  const [preference, selector = "", table, protocol] = words;
  world.rules.push({ preference: Number(preference), selector, table: Number(table), protocol: Number(protocol) });
}

function removeRule(world: World, words: readonly string[]): void {
  const index = ruleIndex(world, words);
  if (index < 0) throw new ToolError("RTNETLINK answers: No such file or directory");
  world.rules.splice(index, 1);
}
