import { formatNetwork, parseNetwork } from "../../../provider/model/address";
import { extrasOf, type FakeSet, ToolError, type World } from "./fake-world";

/** What an element of a set looks like; in hash:net it is a network. */
const ELEMENTS: Readonly<Record<string, RegExp>> = {
  "hash:ip": /^[0-9.]+$/,
  "hash:ip,port,ip": /^[0-9.]+,(tcp|udp):\d+,[0-9.]+$/,
};

/** One line of `ipset -exist restore`. */
export function runIpsetLine(world: World, line: string): void {
  const [verb, name = "", ...rest] = line.split(" ");
  switch (verb) {
    case "create":
      create(world, name, rest);
      return;
    case "add":
      add(setOf(world, name), rest);
      return;
    case "del":
      setOf(world, name).members.delete(canonical(setOf(world, name), rest));
      return;
    case "flush":
      setOf(world, name).members.clear();
      return;
    case "swap":
      swap(world, name, rest[0] ?? "");
      return;
    case "destroy":
      // With -exist a set that isn't there is no error.
      if (isUsed(world, name)) throw new ToolError("Set cannot be destroyed: it is in use by a kernel component");
      world.sets.delete(name);
      return;
    default:
      throw new Error(`the fake doesn't know this ipset command: ${line}`);
  }
}

function swap(world: World, name: string, other: string): void {
  const [one, two] = [setOf(world, name), setOf(world, other)];
  if (one.type !== two.type) throw new ToolError("The sets cannot be swapped: their type does not match");
  world.sets.set(name, two);
  world.sets.set(other, one);
}

function setOf(world: World, name: string): FakeSet {
  const set = world.sets.get(name);
  if (!set) throw new ToolError("The set with the given name does not exist");
  return set;
}

function create(world: World, name: string, words: readonly string[]): void {
  const match =
    /^(\S+) family inet maxelem (\d+)(?: timeout ([1-9]\d*))?((?: timeout 0)?(?: counters)?(?: comment)?)$/.exec(
      words.join(" "),
    );
  if (!match || name.length > 31)
    throw new Error(`the fake doesn't know this ipset create: ${name} ${words.join(" ")}`);
  const set = {
    type: match[1] ?? "",
    maxElements: Number(match[2]),
    timeout: Number(match[3] ?? 0),
    extras: match[4] ?? "",
    members: new Map(),
  };
  const there = world.sets.get(name);
  if (!there) world.sets.set(name, set);
  else if (headerOf(there) !== headerOf(set)) {
    throw new ToolError("Set cannot be created: set with the same name already exists");
  }
}

const headerOf = (set: FakeSet): string => `${set.type} ${set.maxElements} ${set.timeout}${extrasOf(set)}`;

/** With -exist, adding a member that is there overwrites its nomatch flag. */
function add(set: FakeSet, words: readonly string[]): void {
  const [, ...flags] = words;
  if (flags.length > 0 && flags.join(" ") !== "nomatch")
    throw new Error(`the fake doesn't know this ipset flag: ${flags.join(" ")}`);
  set.members.set(canonical(set, words), flags.length > 0);
  if (set.members.size > set.maxElements) throw new ToolError("Hash is full, cannot add more elements");
}

/** The element as the kernel keeps it: host bits cut off, no length where it is 32. */
function canonical(set: FakeSet, [element = ""]: readonly string[]): string {
  const pattern = ELEMENTS[set.type];
  if (pattern) {
    if (!pattern.test(element)) throw new ToolError(`Syntax error: ${element}`);
    return element;
  }
  const network = parseNetwork(element);
  if (!network) throw new ToolError(`Syntax error: cannot parse ${element}`);
  if (network.length === 0) throw new ToolError("The value of the CIDR parameter of the IP address is invalid");
  return formatNetwork(network).replace(/\/32$/, "");
}

function isUsed({ tables }: World, name: string): boolean {
  const rules = [...tables.values()].flatMap((chains) => [...chains.values()].flatMap((chain) => chain.rules));
  return rules.some((rule) => rule.includes(`--match-set ${name} `));
}
