import type { Table } from "../../../provider/kernel/iptables";

/** The kernel of one node, as far as our tools can see it. Plain data, so that `structuredClone` copies it. */
export interface World {
  links: Map<string, FakeLink>;
  /** Settings by name in slash form; those of a device come and go with it. */
  sysctls: Map<string, string>;
  addresses: FakeAddress[];
  /** Permanent ones. */
  neighbours: FakeNeighbour[];
  routes: FakeRoute[];
  rules: FakeRule[];
  sets: Map<string, FakeSet>;
  tables: Map<Table, Map<string, FakeChain>>;
  /** Addresses that somebody else on the wire answers for. */
  taken: Set<string>;
  bpf: FakeBpf;
  /** Of devices, maps and programs. */
  numbers: { next: number };
}

export interface FakeBpf {
  /** By version and name. */
  maps: Map<string, FakeMap>;
  programs: FakeProgram[];
  /** Device and direction → filters in the order in which a packet meets them. */
  filters: Map<string, FakeFilter[]>;
  /** Devices with a clsact, and who put it there. */
  hooks: Map<string, "ours" | "theirs">;
  /** Number of a program that was loaded → numbers of the maps that it uses. */
  mapsOf: Map<number, readonly number[]>;
  /** What a batch has taken away and its undo may want. */
  gone: { maps: Map<string, FakeMap>; programs: FakeProgram[]; filters: Map<string, FakeFilter[]> };
}

export interface FakeMap {
  id: number;
  type: string;
  key: number;
  value: number;
  /** Entries that it takes. */
  most: number;
  flags: number;
  /** In hexadecimal digits. */
  entries: Map<string, string>;
}

/** The pins of an object. */
export interface FakeProgram {
  object: string;
  hash: string;
  /** Numbers of the tunnel and the uplink. */
  devices: readonly number[];
  programs: Map<string, number>;
}

export interface FakeFilter {
  preference: number;
  name: string;
  program: number;
}

export interface FakeLink {
  index: number;
  mac: string;
  mtu: number;
  /** UDP port of an external vxlan device. */
  port?: number;
  up: boolean;
  master?: string;
}

export interface FakeAddress {
  device: string;
  address: string;
  length: number;
  scope: string;
  label: string;
  metric: number;
}

export interface FakeNeighbour {
  device: string;
  address: string;
  mac: string;
}

export interface FakeRoute {
  table: number;
  type: "unicast" | "unreachable";
  destination: string;
  metric: number;
  protocol: number;
  via?: string;
  device?: string;
  encap?: { id: number; underlay: string };
}

export interface FakeRule {
  preference: number;
  /** `fwmark 0x…/0x…` or nothing. */
  selector: string;
  table: number;
  protocol: number;
}

export interface FakeSet {
  type: string;
  timeout: number;
  maxElements: number;
  /** What members can carry, as `create` says it; left out: counters and comment where there is a timeout, else nothing. */
  extras?: string;
  /** Element as `ipset save` prints it → nomatch. */
  members: Map<string, boolean>;
}

/** As `create` has them: each with a space before it. */
export const extrasOf = ({ timeout, extras = timeout > 0 ? " counters comment" : "" }: FakeSet): string => extras;

export interface FakeChain {
  /** Only built-in chains have one. */
  policy?: "ACCEPT" | "DROP";
  rules: string[];
}

/** What the tool says when the kernel refuses. Anything else that is thrown is a mistake of the caller. */
export class ToolError extends Error {}

const BUILT_IN: Readonly<Record<Table, readonly string[]>> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

/** A node with an uplink, kube-proxy's and a CNI's rules and sets, and nothing of ours. */
export function foreignWorld(uplinkAddress: string, policies: Readonly<Record<string, "DROP">> = {}): World {
  const tables = new Map(
    (Object.keys(BUILT_IN) as Table[]).map((table) => [
      table,
      new Map(
        BUILT_IN[table].map((name): [string, FakeChain] => {
          const policy = table === "filter" ? policies[name] : undefined;
          return [name, { policy: policy ?? "ACCEPT", rules: [] }];
        }),
      ),
    ]),
  );
  const world: World = {
    links: new Map([
      ["eth0", { index: 2, mac: "02:00:c0:a8:00:0b", mtu: 1500, up: true }],
      ...POD_DEVICES.map((name, i): [string, FakeLink] => [
        name,
        { index: 3 + i, mac: `02:00:00:00:01:0${i}`, mtu: 1450, up: true },
      ]),
    ]),
    sysctls: new Map([["net/ipv4/conf/eth0/rp_filter", "1"]]),
    addresses: [{ device: "eth0", address: uplinkAddress, length: 24, scope: "global", label: "eth0", metric: 0 }],
    neighbours: [{ device: "eth0", address: "192.168.0.1", mac: "02:00:c0:a8:00:01" }],
    routes: [
      unicast(254, "default", "192.168.0.1", "eth0", 16),
      { ...unicast(254, "192.168.0.0/24", undefined, "eth0", 2) },
      unicast(100, "default", "192.168.0.1", "eth0", 4),
    ],
    rules: [
      { preference: 0, selector: "", table: 255, protocol: 0 },
      { preference: 100, selector: "fwmark 0x80000/0xc0000", table: 100, protocol: 4 },
      { preference: 32766, selector: "", table: 254, protocol: 0 },
    ],
    sets: new Map([
      ["KUBE-LOOP-BACK", set("hash:ip,port,ip", ["10.0.1.11,tcp:80,10.0.1.11"])],
      ["cali40all-ipam-pools", set("hash:net", ["10.0.0.0/16"])],
    ]),
    tables,
    taken: new Set(),
    bpf: foreignBpf(),
    numbers: { next: 100 },
  };
  addForeignRules(world);
  return world;
}

/** Devices of pods of the node. */
export const POD_DEVICES = ["veth1", "veth2"] as const;

/** Who counts packets has a filter behind the place of ours, and a hook without a filter. */
function foreignBpf(): FakeBpf {
  return {
    maps: new Map(),
    programs: [],
    filters: new Map([["eth0 ingress", [{ preference: 49152, name: "count_in", program: 7 }]]]),
    hooks: new Map([
      ["eth0", "theirs"],
      ["veth2", "theirs"],
    ]),
    mapsOf: new Map(),
    gone: { maps: new Map(), programs: [], filters: new Map() },
  };
}

function unicast(
  table: number,
  destination: string,
  via: string | undefined,
  device: string,
  protocol: number,
): FakeRoute {
  return { table, type: "unicast", destination, metric: 0, protocol, via, device };
}

function set(type: string, members: readonly string[]): FakeSet {
  return { type, timeout: 0, maxElements: 65536, members: new Map(members.map((member) => [member, false])) };
}

function addForeignRules({ tables }: World): void {
  const put = (table: Table, chain: string, ...rules: string[]): void => {
    const chains = tables.get(table);
    const entry = chains?.get(chain) ?? { rules: [] };
    entry.rules.push(...rules);
    chains?.set(chain, entry);
  };
  put("nat", "KUBE-SERVICES", "-d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.1.11:80");
  put("nat", "KUBE-POSTROUTING", "-m set --match-set KUBE-LOOP-BACK src,src,dst -j MASQUERADE");
  put("nat", "PREROUTING", "-j KUBE-SERVICES");
  put("nat", "OUTPUT", "-j KUBE-SERVICES");
  put("nat", "POSTROUTING", "-j KUBE-POSTROUTING");
  // The CNI's masquerade: what is not selected leaves by the node's address.
  put("nat", "POSTROUTING", "-s 10.0.0.0/16 -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE");
  put("filter", "KUBE-FORWARD", "-m conntrack --ctstate INVALID -j DROP");
  put("filter", "FORWARD", "-j KUBE-FORWARD", "-s 10.0.0.0/16 -j ACCEPT", "-d 10.0.0.0/16 -j ACCEPT");
  put("filter", "INPUT", "-i lo -j ACCEPT");
  put("mangle", "FORWARD", "-p tcp -m tcp --dport 25 -j DROP");
}

/** What is left of a world without anything that bears our names, labels and protocol number. */
export function withoutOurs(world: World): World {
  const isOurs = (name: string): boolean => /egw|EGRESSGATEWAY-/.test(name);
  for (const names of [world.links, world.sysctls, world.sets, ...world.tables.values()] as Map<string, unknown>[]) {
    for (const name of [...names.keys()]) if (isOurs(name)) names.delete(name);
  }
  for (const chain of [...world.tables.values()].flatMap((chains) => [...chains.values()])) {
    chain.rules = chain.rules.filter((rule) => !isOurs(rule));
  }
  world.addresses = world.addresses.filter(
    ({ device, label, metric }) => !isOurs(device) && !isOurs(label) && metric !== 3838,
  );
  world.neighbours = world.neighbours.filter(({ device }) => !isOurs(device));
  world.routes = world.routes.filter(({ protocol, table }) => protocol !== 38 && !isOfLeg(table));
  world.rules = world.rules.filter(({ protocol }) => protocol !== 38);
  for (const [hook, filters] of world.bpf.filters)
    world.bpf.filters.set(
      hook,
      filters.filter(({ name }) => !isOurs(name)),
    );
  const hooks = [...world.bpf.hooks].filter(([, whose]) => whose === "theirs");
  world.bpf = { ...foreignBpf(), filters: world.bpf.filters, hooks: new Map(hooks) };
  return world;
}

/** The tables of legs, which are ours whole. */
export const isOfLeg = (table: number): boolean => table >= 3000 && table < 3100;
