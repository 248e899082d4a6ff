import { LAYOUT_VERSION, OBJECTS, type ObjectName } from "../../../provider/kernel/bpf-layout";
import { compareText } from "../../../provider/kernel/state";
import { type FakeFilter, type FakeMap, type FakeProgram, ToolError, type World } from "./fake-world";

/** What the user's space fills; `egw_bpf` prints no other entries. */
const FILLED = ["egw_policies", "egw_sources", "egw_peers", "egw_underlays", "egw_egress_ips", "egw_fleet"];

/** One line of `egw_bpf_maps`. */
export function runMapLine({ bpf, numbers }: World, line: string): void {
  const [verb, version, name, type = "", ...rest] = line.split(" ");
  const place = `${version} ${name}`;
  const away = bpf.gone.maps.get(place);
  const there = bpf.maps.get(place);
  switch (verb) {
    case "create": {
      const [key = 0, value = 0, most = 0, flags = 0] = rest.map(Number);
      if (!there)
        bpf.maps.set(place, { id: numbers.next++, type, key, value, most, flags, entries: new Map<string, string>() });
      return;
    }
    case "drop":
      bpf.maps.delete(place);
      return;
    case "remove":
      if (there) bpf.gone.maps.set(place, there);
      bpf.maps.delete(place);
      return;
    case "restore":
      if (away) bpf.maps.set(place, away);
      bpf.gone.maps.delete(place);
      return;
    default:
      throw new Error(`the fake doesn't know this line for maps: ${line}`);
  }
}

/** One line of `egw_bpf_entries`. */
export function runEntryLine({ bpf }: World, line: string): void {
  const [verb, name = "", given = "", value] = line.split(" ");
  const map = bpf.maps.get(`${LAYOUT_VERSION} ${name}`);
  const key = map?.type === "lpm_trie" ? canonical(given) : given;
  if (!map) throw new ToolError(`Error: bpf obj get (/sys/fs/bpf/pulumi-egress/maps-${LAYOUT_VERSION}): No such file`);
  if (key.length !== 2 * map.key) throw new ToolError(`Error: key has ${key.length / 2} bytes, expected ${map.key}`);
  if (verb === "update") update(map, key, value ?? "");
  else if (verb !== "delete") throw new Error(`the fake doesn't know this line for entries: ${line}`);
  else if (!map.entries.delete(key)) throw new ToolError("Error: delete failed: No such file or directory");
}

/** A trie looks at the bits of a key's length and at no other. */
function canonical(key: string): string {
  const bytes = Buffer.from(key, "hex");
  const [header, data] = [bytes.subarray(0, 4), bytes.subarray(4)];
  const bits = [...data].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const kept = bits.slice(0, header.readUInt32LE()).padEnd(bits.length, "0");
  return header.toString("hex") + [...data.keys()].map((i) => hexOf(kept.slice(8 * i, 8 * i + 8))).join("");
}
const hexOf = (bits: string): string => Number.parseInt(bits, 2).toString(16).padStart(2, "0");

function update(map: FakeMap, key: string, value: string): void {
  if (value.length !== 2 * map.value) throw new ToolError(`Error: value has ${value.length / 2} bytes`);
  map.entries.set(key, value);
  if (map.entries.size > map.most) throw new ToolError("Error: update failed: Argument list too long");
}

/** One line of `egw_bpf_programs`. Objects are there for every hash. */
export function runProgramLine(world: World, line: string): void {
  const { bpf } = world;
  const [verb, object = "", hash = "", tunnel = "", uplink = "", maps = ""] = line.split(" ");
  const isOf = (one: FakeProgram): boolean => one.object === object && one.hash === hash;
  const putAway = (): void => {
    bpf.gone.programs = [...bpf.gone.programs.filter((one) => !isOf(one)), ...bpf.programs.filter(isOf)];
    bpf.programs = bpf.programs.filter((one) => !isOf(one));
  };
  const away = bpf.gone.programs.filter(isOf);
  switch (verb) {
    case "load": {
      const loaded = loadedFrom(world, object as ObjectName, hash, [tunnel, uplink], maps.split(","));
      putAway();
      bpf.programs.push(loaded);
      return;
    }
    case "unload":
      putAway();
      return;
    case "restore":
      if (away.length > 0) bpf.programs = [...bpf.programs.filter((one) => !isOf(one)), ...away];
      bpf.gone.programs = bpf.gone.programs.filter((one) => !isOf(one));
      return;
    case "drop":
      bpf.programs = bpf.programs.filter((one) => !isOf(one));
      return;
    case "keep":
      return;
    default:
      throw new Error(`the fake doesn't know this line for programs: ${line}`);
  }
}

function loadedFrom(
  { bpf, links, numbers }: World,
  object: ObjectName,
  hash: string,
  devices: readonly string[],
  names: readonly string[],
): FakeProgram {
  const indexes = devices.map((device) => {
    const link = links.get(device);
    if (!link) throw new ToolError(`cat: /sys/class/net/${device}/ifindex: No such file or directory`);
    return link.index;
  });
  const maps = names.map((name) => {
    const map = bpf.maps.get(`${LAYOUT_VERSION} ${name}`);
    if (!map) throw new ToolError(`Error: failed to get pinned map ${name}`);
    return map.id;
  });
  const programs = [...OBJECTS[object].programs].sort().map((name): [string, number] => [name, numbers.next++]);
  for (const [, id] of programs) bpf.mapsOf.set(id, maps);
  return { object, hash, devices: indexes, programs: new Map(programs) };
}

/** Behind the others of ours on a hook. */
const SLOTS: Readonly<Record<string, number>> = { from_client: 1, uplink_gateway: 1, from_outside: 2 };

/** One line of `egw_filters`. */
export function runFilterLine(world: World, line: string): void {
  const { bpf, links } = world;
  const [verb, device = "", direction = "", program, object, hash] = line.split(" ");
  if (!links.has(device)) return;
  const hook = `${device} ${direction}`;
  const name = `egw-${program}`;
  const all = (): FakeFilter[] => bpf.filters.get(hook) ?? [];
  const isOurs = (one: FakeFilter): boolean => one.name === name;
  const keep = (): void => {
    const kept = bpf.gone.filters.get(`${hook} ${name}`) ?? [];
    const fresh = all().filter((one) => isOurs(one) && !kept.some((other) => other.preference === one.preference));
    bpf.gone.filters.set(`${hook} ${name}`, [...kept, ...structuredClone(fresh)]);
  };
  const put = (filters: readonly FakeFilter[]): void => {
    if (!bpf.hooks.has(device)) bpf.hooks.set(device, "ours");
    bpf.filters.set(
      hook,
      [...all().filter((one) => !isOurs(one)), ...filters].sort((a, b) => a.preference - b.preference),
    );
  };
  switch (verb) {
    case "attach": {
      const id = bpf.programs.find((one) => one.object === object && one.hash === hash)?.programs.get(program ?? "");
      if (id === undefined) throw new ToolError(`Couldn't retrieve pinned program ${object}-${hash}/${name}`);
      keep();
      const theirs = all().filter((one) => !one.name.startsWith("egw-"));
      const front = Math.min(41, ...theirs.map(({ preference }) => preference)) - 3;
      put([{ preference: front + (SLOTS[program ?? ""] ?? 0), name, program: id }]);
      return;
    }
    case "detach":
      keep();
      bpf.filters.set(
        hook,
        all().filter((one) => !isOurs(one)),
      );
      removeHook(world, device);
      return;
    case "restore": {
      const kept = bpf.gone.filters.get(`${hook} ${name}`);
      if (kept?.length) put(kept);
      return;
    }
    case "keep":
      return;
    default:
      throw new Error(`the fake doesn't know this line for filters: ${line}`);
  }
}

/** A hook of ours goes with its last filter. */
function removeHook({ bpf }: World, device: string): void {
  const left = ["ingress", "egress"].flatMap((direction) => bpf.filters.get(`${device} ${direction}`) ?? []);
  if (bpf.hooks.get(device) === "ours" && left.length === 0) bpf.hooks.delete(device);
}

/** What a device takes along. */
export function removeFilters({ bpf }: World, device: string): void {
  bpf.hooks.delete(device);
  for (const direction of ["ingress", "egress"]) {
    bpf.filters.delete(`${device} ${direction}`);
    for (const place of [...bpf.gone.filters.keys()])
      if (place.startsWith(`${device} `)) bpf.gone.filters.delete(place);
  }
}

/** `egw_tidy_bpf`: when a batch begins and when it has ended. */
export function tidyBpf({ bpf }: World): void {
  bpf.gone = { maps: new Map(), programs: [], filters: new Map() };
}

/** As `egw_bpf` prints it. */
export function printBpf({ bpf, links }: World): string[] {
  const pinned = new Set([...bpf.maps.values()].map(({ id }) => id));
  const deviceOf = (index: number): string => [...links].find(([, link]) => link.index === index)?.[0] ?? "?";
  const of = new Map(
    bpf.programs.flatMap(({ object, hash, programs }) =>
      [...programs].map(([name, id]) => [`egw-${name} ${id}`, `${object} ${hash}`] as const),
    ),
  );
  const suffix = (id: number): string => ((bpf.mapsOf.get(id) ?? []).every((map) => pinned.has(map)) ? "" : "!");
  return [
    ...[...bpf.maps].map(
      ([place, { type, key, value, most, flags }]) => `map ${place} ${type} ${key} ${value} ${most} ${flags}`,
    ),
    ...bpf.programs.map(({ object, hash, devices, programs }) => {
      const names = [...programs].map(([name, id]) => `${name}${suffix(id)}`);
      return `program ${object} ${hash} ${devices.map(deviceOf).join(" ")} ${names.join(" ")}`;
    }),
    ...[...bpf.filters].flatMap(([hook, filters]) => printHook(hook, filters, of)),
    ...FILLED.flatMap((name) =>
      [...(bpf.maps.get(`${LAYOUT_VERSION} ${name}`)?.entries ?? [])].map(
        ([key, value]) => `entry ${name} ${key} ${value}`,
      ),
    ),
  ].sort(compareText);
}

/** Filters of others are printed where they stand in front of one of ours. */
function printHook(hook: string, filters: readonly FakeFilter[], of: ReadonlyMap<string, string>): string[] {
  const last = filters.findLastIndex(({ name }) => name.startsWith("egw-"));
  const lines = filters
    .slice(0, last + 1)
    .map(
      ({ name, program }) =>
        `filter ${hook} ${name}${name.startsWith("egw-") ? ` ${of.get(`${name} ${program}`) ?? "?"}` : ""}`,
    );
  // In one piece, so that sorting leaves their order alone.
  return lines.length === 0 ? [] : [lines.join("\n")];
}

/** Hooks and filters of others, with where they stand. */
export function printForeignFilters({ bpf }: World): string[] {
  return [
    ...[...bpf.hooks].map(([device, owner]) => `clsact ${device} ${owner}`),
    ...[...bpf.filters].flatMap(([hook, filters]) =>
      filters
        .map(({ preference, name, program }) => `${hook} ${preference} ${name} ${program}`)
        .filter((line) => !line.includes(" egw-")),
    ),
  ].sort(compareText);
}
