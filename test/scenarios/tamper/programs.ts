import { OBJECTS, type ObjectName } from "../../../provider/kernel/bpf-layout";
import type { TcFilter } from "../../../provider/kernel/tc-filter";
import { BPF_DIRECTORY } from "../../../provider/program/bpf-maps";
import {
  allMissing,
  changed,
  extra,
  missing,
  type Of,
  type Scene,
  type Tampers,
  type ToldObject,
  those,
} from "./tamper";

/** Maps that the programs of a node use, by object and name of the program. */
export type Uses = ReadonlyMap<string, readonly string[]>;

/** Prints a line for each program and its maps, as `usesIn` reads it. */
export const USES_SCRIPT = `for f in ${BPF_DIRECTORY}/*-*/egw-*; do
  [ -e "$f" ] || continue
  d=\${f%/*}; d=\${d##*/}
  for i in $(bpftool -j prog show pinned "$f" | sed -n 's/.*"map_ids":\\[\\([0-9,]*\\)\\].*/\\1/p' | tr , ' '); do
    echo "\${d%%-*} \${f##*/egw-} $(bpftool -j map show id "$i" | sed -n 's/.*"name":"\\([^"]*\\)".*/\\1/p')"
  done
done`;

export function usesIn(printed: string): Uses {
  const uses = new Map<string, string[]>();
  for (const line of printed.split("\n").filter((one) => one !== "")) {
    const [object, program, map = ""] = line.split(" ");
    uses.set(`${object} ${program}`, [...(uses.get(`${object} ${program}`) ?? []), map]);
  }
  return uses;
}

const pinOf = ({ version, name }: Of<"bpf-map">): string => `${BPF_DIRECTORY}/maps-${version}/${name}`;
const mapOf = (scene: Scene, map: string) => those(scene, "bpf-map", ({ name }) => name === map)[0];
const words = (hex: string): string => (hex.match(/../g) ?? []).join(" ");

/** Programs that go on using a map that is pinned no more. */
function unpinned(scene: Scene, map: string): ToldObject[] {
  return those(scene, "bpf-program").flatMap(({ object, owner }) => {
    const mapsOf = (program: string) =>
      scene.uses?.get(`${object.object} ${program}`) ?? OBJECTS[object.object as ObjectName].maps;
    const programs = object.programs.map((program) => (mapsOf(program).includes(map) ? `${program}!` : program));
    return programs.some((program) => program.endsWith("!"))
      ? [changed(object, { ...object, programs: programs.sort() }, owner)]
      : [];
  });
}

export const bpfMap: Tampers<"bpf-map"> = (object, owner, scene) => {
  const pin = pinOf(object);
  const create = (at: string, entries: number) =>
    `bpftool map create ${at} type ${object.type} key ${object.key} value ${object.value} entries ${entries} name ${object.name} flags ${object.flags}`;
  const gone = [
    ...allMissing(those(scene, "bpf-entry", ({ map }) => map === object.name)),
    ...unpinned(scene, object.name),
  ];
  const old = { ...object, version: 0, entries: 512 };
  return [
    { how: "missing", what: object.name, script: `rm ${pin}`, told: [missing(object, owner), ...gone] },
    {
      how: "changed",
      what: object.name,
      script: `rm ${pin}; ${create(pin, 512)}`,
      told: [changed(object, { ...object, entries: 512 }, owner), ...gone],
    },
    {
      how: "extra",
      what: object.name,
      script: `mkdir -p ${BPF_DIRECTORY}/maps-0; ${create(pinOf(old), 512)}`,
      told: [extra(old, scene.nodeOwner)],
    },
  ];
};

/** A key that no entry has; of networks one of a single address. */
const STRANGERS: Readonly<Record<string, (key: string) => string>> = {
  egw_policies: (key) => `40000000${key.slice(8, 16)}cb00710a`,
  egw_sources: () => "200000000a00f001",
  egw_underlays: () => "66260000fffe0000",
};
const OTHER_ADDRESS = "c0a800fa";

export const bpfEntry: Tampers<"bpf-entry"> = (object, owner, scene) => {
  const found = mapOf(scene, object.map);
  if (!found) return [];
  const pin = pinOf(found.object);
  const update = ({ key, value }: Of<"bpf-entry">) =>
    `bpftool map update pinned ${pin} key hex ${words(key)} value hex ${words(value)}`;
  const digit = object.map === "egw_policies" || object.map === "egw_sources" ? -1 : 7;
  const other = {
    ...object,
    value: [...object.value]
      .map((one, i, all) => (i === (digit + all.length) % all.length ? turned(one) : one))
      .join(""),
  };
  const stranger = { ...object, key: STRANGERS[object.map]?.(object.key) ?? OTHER_ADDRESS };
  const what = `${object.map} ${object.key}`;
  return [
    {
      how: "missing",
      what,
      script: `bpftool map delete pinned ${pin} key hex ${words(object.key)}`,
      told: [missing(object, owner)],
    },
    { how: "changed", what, script: update(other), told: [changed(object, other, owner)] },
    { how: "extra", what: object.map, script: update(stranger), told: [extra(stranger, found.owner)] },
  ];
};
const turned = (digit: string): string => (Number.parseInt(digit, 16) ^ 2).toString(16);

const folderOf = ({ object, hash }: { readonly object: string; readonly hash: string }): string =>
  `${BPF_DIRECTORY}/${object}-${hash}-*`;
const isOf = (program: Of<"bpf-program">, filter: TcFilter): boolean =>
  filter.of === `${program.object} ${program.hash}`;

export const bpfProgram: Tampers<"bpf-program"> = (object, owner, scene) => {
  const unknown = (fits: (filter: TcFilter) => boolean) =>
    those(scene, "tc-filter", (filter) => isOf(object, filter) && fits(filter)).map((one) =>
      changed(one.object, { ...one.object, of: "?" }, one.owner),
    );
  const [first = "", ...rest] = object.programs;
  const stranger = { ...object, hash: "0000000000", programs: [first] };
  const what = object.object;
  return [
    {
      how: "missing",
      what,
      script: `rm -r ${folderOf(object)}`,
      told: [missing(object, owner), ...unknown(() => true)],
    },
    {
      how: "changed",
      what,
      script: `rm ${folderOf(object)}/egw-${first}`,
      told: [changed(object, { ...object, programs: rest }, owner), ...unknown(({ program }) => program === first)],
    },
    {
      how: "extra",
      what,
      script: `cd ${folderOf(object)}; d=$(pwd); n=${BPF_DIRECTORY}/${object.object}-${stranger.hash}-\${d#*-*-${object.hash}-}; mkdir $n; bpftool prog pin pinned $d/egw-${first} $n/egw-${first}`,
      told: [extra(stranger, scene.nodeOwner)],
    },
  ];
};

const THEIRS = "/sys/fs/bpf/theirs";
/** A program of somebody else, which lets all pass, by a name. */
const theirs = (name: string): string => `mkdir -p ${THEIRS}
[ -e ${THEIRS}/load ] || {
  echo '__attribute__((section("classifier"), used)) int theirs(void *skb) { return -1; } char _license[] __attribute__((section("license"), used)) = "GPL";' >/tmp/theirs.c
  clang -O2 -target bpf -c /tmp/theirs.c -o /tmp/theirs.o
  bpftool prog loadall /tmp/theirs.o ${THEIRS}/load type classifier
}
[ -e ${THEIRS}/${name} ] || bpftool prog pin pinned ${THEIRS}/load/theirs ${THEIRS}/${name}`;

/** Of programs on one hook the later ones get what the earlier ones leave. */
const slotOf = ({ program }: TcFilter): number =>
  ["from_client", "uplink_gateway"].includes(program) ? 1 : program === "from_outside" ? 2 : 0;

export const tcFilter: Tampers<"tc-filter"> = (object, owner, scene) => {
  const { device, direction, program } = object;
  const hook = `dev ${device} ${direction}`;
  const placeOf = (name: string) =>
    `tc filter show ${hook} | sed -n 's/.* pref \\([0-9]*\\) .* handle \\([^ ]*\\) ${name}:.*/prio \\1 handle \\2/p'`;
  const put = (verb: string, place: string, pin: string) =>
    `tc filter ${verb} ${hook} ${place} protocol all bpf da object-pinned ${pin}`;
  const removeTheirs = `${placeOf("theirs")} | while read -r place; do tc filter del ${hook} $place protocol all bpf; done; rm -rf ${THEIRS} /tmp/theirs.*`;
  const ofHook = those(scene, "tc-filter", (o) => o.device === device && o.direction === direction);
  const pinOf = (one: TcFilter) => `${BPF_DIRECTORY}/${one.of.replace(" ", "-")}-*/egw-${one.program}`;
  // At the first preference the newest is asked first: there ours may stand in another order than told below.
  const ordered = ofHook.map(({ object: one }) => {
    const first = `prio ${38 + slotOf(one)} handle 0x${1 + slotOf(one)}`;
    const leave = `tc filter del ${hook} $old protocol all bpf; ${put("add", first, pinOf(one))}`;
    return `old=$(${placeOf(`egw-${one.program}`)}); [ "$old" = "${first}" ] || { ${leave}; }`;
  });
  const behind = (fits: (filter: TcFilter) => boolean) =>
    ofHook
      .filter((one) => fits(one.object))
      .map((one) => changed(one.object, { ...one.object, behind: ["theirs"] }, one.owner));
  const isLater = (other: TcFilter): boolean => slotOf(other) > slotOf(object);
  const what = `${device} ${direction} ${program}`;
  const place = `$(${placeOf(`egw-${program}`)})`;
  return [
    {
      how: "missing",
      what,
      script: `tc filter del ${hook} ${place} protocol all bpf`,
      told: [missing(object, owner)],
    },
    {
      how: "missing",
      what: `${what} for theirs`,
      script: `${theirs("theirs")}\n${put("replace", place, `${THEIRS}/theirs`)}`,
      told: [missing(object, owner), ...behind(isLater)],
      afterwards: removeTheirs,
    },
    {
      how: "changed",
      what,
      script: `${theirs(`egw-${program}`)}\n${put("replace", place, `${THEIRS}/egw-${program}`)}`,
      told: [changed(object, { ...object, of: "?" }, owner)],
      afterwards: removeTheirs,
    },
    {
      how: "foreign",
      what,
      script: `${theirs("theirs")}\n${put("add", "prio 1", `${THEIRS}/theirs`)}`,
      told: behind(() => true),
      afterwards: [removeTheirs, ...ordered].join("\n"),
    },
    {
      how: "extra",
      what,
      script: put("add", "prio 50", pinOf(object)),
      told: [extra(object, owner)],
    },
  ];
};

/** What a tunnel device that goes, or is made again, takes along. */
export function programsOn(scene: Scene, device: string): ToldObject[] {
  return [
    ...allMissing(those(scene, "tc-filter", (filter) => filter.device === device)),
    ...those(scene, "bpf-program").map(({ object, owner }) =>
      changed(object, { ...object, devices: object.devices.map((one) => (one === device ? "?" : one)) }, owner),
    ),
  ];
}
