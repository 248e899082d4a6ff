import type { FakeSet, World } from "./fake-world";
import { inside, networkOf } from "./inside";

/** A packet with what conntrack knows of its connection. */
export interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly protocol: "tcp" | "udp";
  readonly sport: number;
  readonly dport: number;
  readonly flags: readonly ("SYN" | "ACK" | "RST" | "FIN")[];
  readonly mac: string;
  readonly state: "NEW" | "ESTABLISHED" | "INVALID";
  readonly direction: "ORIGINAL" | "REPLY";
  readonly in: string;
  out: string;
  mark: number;
  connmark: number;
}

export type Match = (packet: Packet, world: World) => boolean;
export interface Target {
  readonly name: string;
  readonly isGoto: boolean;
  readonly options: ReadonlyMap<string, string>;
}
export interface Rule {
  readonly matches: readonly Match[];
  readonly target: Target;
}

const parsed = new Map<string, Rule>();

/** A rule as the tracer understands it. Throws for any word that it doesn't know, so that no rule is ever passed over. */
export function parseRule(text: string): Rule {
  const known = parsed.get(text);
  if (known) return known;
  const rule = parse(text);
  parsed.set(text, rule);
  return rule;
}

function parse(text: string): Rule {
  const words = (text.match(/"[^"]*"|\S+/g) ?? []).values();
  const next = (): string => {
    const { value, done } = words.next();
    if (done) throw new Error(`the tracer misses a word at the end of: ${text}`);
    return value;
  };
  const matches: Match[] = [];
  let isNegated = false;
  let module = "";
  for (const word of words) {
    if (word === "!") {
      isNegated = true;
      continue;
    }
    if (word === "-j" || word === "-g") {
      return { matches, target: { name: next(), isGoto: word === "-g", options: optionsOf([...words]) } };
    }
    if (word === "-m") {
      module = next();
      if (!MODULES.includes(module)) throw new Error(`the tracer doesn't know -m ${module}`);
      continue;
    }
    const make = MATCHES[word === "--mark" ? `${module} ${word}` : word];
    if (!make) throw new Error(`the tracer doesn't know ${word} in: ${text}`);
    const match = make(next);
    const flip = isNegated;
    if (match) matches.push((packet, world) => match(packet, world) !== flip);
    isNegated = false;
  }
  throw new Error(`the tracer misses a target in: ${text}`);
}

function optionsOf(words: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const [name = "", value = ""] = [words[i], words[i + 1]];
    const hasValue = i + 1 < words.length && !value.startsWith("--");
    options.set(name, hasValue ? value : "");
    if (hasValue) i++;
  }
  return options;
}

/** Value and mask of `0x…/0x…`, without a mask all bits. */
export function parseMark(text: string): { value: number; mask: number } {
  const [value, mask = "0xffffffff"] = text.split("/");
  return { value: Number(value), mask: Number(mask) };
}

const MODULES = ["conntrack", "mark", "connmark", "set", "mac", "tcp", "udp", "addrtype", "comment"];

const MATCHES: Readonly<Record<string, (next: () => string) => Match | undefined>> = {
  "-i":
    (next, device = next()) =>
    (p) =>
      p.in === device,
  "-o":
    (next, device = next()) =>
    (p) =>
      p.out === device,
  "-s":
    (next, network = next()) =>
    (p) =>
      inside(network, p.source),
  "-d":
    (next, network = next()) =>
    (p) =>
      inside(network, p.destination),
  "-p":
    (next, protocol = next()) =>
    (p) =>
      p.protocol === protocol,
  "--dport":
    (next, port = next()) =>
    (p) =>
      p.dport === Number(port),
  "--tcp-flags":
    (next, mask = next().split(","), set = next().split(",")) =>
    (p) =>
      mask.every((flag) => set.includes(flag) === p.flags.some((has) => has === flag)),
  "--match-set":
    (next, name = next(), dimensions = next().split(",")) =>
    (p, world) =>
      isIn(world, name, dimensions, p),
  "--ctstate":
    (next, states = next().split(",")) =>
    (p) =>
      states.includes(p.state),
  "--ctdir":
    (next, direction = next()) =>
    (p) =>
      p.direction === direction,
  "--ctstatus": (next, status = next()) => {
    if (status !== "CONFIRMED") throw new Error(`the tracer doesn't know --ctstatus ${status}`);
    return (p) => p.state === "ESTABLISHED";
  },
  "mark --mark":
    (next, { value, mask } = parseMark(next())) =>
    (p) =>
      (p.mark & mask) >>> 0 === value,
  "connmark --mark":
    (next, { value, mask } = parseMark(next())) =>
    (p) =>
      (p.connmark & mask) >>> 0 === value,
  "--mac-source":
    (next, mac = next()) =>
    (p) =>
      p.mac === mac,
  "--src-type": (next, type = next()) => isLocal(type, (p) => p.source),
  "--dst-type": (next, type = next()) => isLocal(type, (p) => p.destination),
  "--comment": (next) => {
    next();
    return undefined;
  },
};

/** An address of the node itself. */
function isLocal(type: string, of: (packet: Packet) => string): Match {
  if (type !== "LOCAL") throw new Error(`the tracer doesn't know the address type ${type}`);
  return (p, world) => world.addresses.some(({ address }) => address === of(p));
}

function isIn({ sets }: World, name: string, dimensions: readonly string[], p: Packet): boolean {
  const set = sets.get(name);
  if (!set) throw new Error(`the tracer meets a set that isn't there: ${name}`);
  if (set.type === "hash:ip,port,ip" && dimensions.join() === "src,src,dst") {
    return set.members.has(`${p.source},${p.protocol}:${p.sport},${p.destination}`);
  }
  if (!["hash:net", "hash:ip"].includes(set.type) || dimensions.length !== 1)
    throw new Error(`the tracer doesn't know ${set.type} ${dimensions}`);
  return isInNetworks(set, dimensions[0] === "src" ? p.source : p.destination);
}

/** The longest prefix decides, also where it says nomatch. */
function isInNetworks({ members }: FakeSet, address: string): boolean {
  let best = -1;
  let isMatch = false;
  for (const [network, nomatch] of members) {
    const length = networkOf(network).length;
    if (length <= best || !inside(network, address)) continue;
    best = length;
    isMatch = !nomatch;
  }
  return isMatch;
}
