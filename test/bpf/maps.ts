import { LAYOUT_VERSION, MAPS, OBJECTS, type ObjectName } from "../../provider/kernel/bpf-layout";

/** Makes the maps of an object, pinned in a folder of a BPF file system. */
export function makeMaps(
  run: (command: string, ...words: string[]) => string,
  folder: string,
  object: ObjectName,
): void {
  run("mkdir", "-p", folder);
  for (const name of OBJECTS[object].maps) {
    const { type, key, value, entries, flags } = MAPS[name] ?? fail(name);
    const shape = { type, key, value, entries, name, flags };
    run("bpftool", "map", "create", `${folder}/${name}`, ...Object.entries(shape).flat().map(String));
  }
}

/** Lines of a batch that make all maps. */
export const MAKE_MAPS: readonly string[] = Object.entries(MAPS).map(
  ([name, { type, key, value, entries, flags }]) =>
    `create ${LAYOUT_VERSION} ${name} ${type} ${key} ${value} ${entries} ${flags}`,
);

/** What `bpftool prog loadall` is told of all programs, since the names of their sections don't say it. */
export const CLASSIFIER = ["type", "classifier"] as const;

/** What `bpftool prog load` is told so that an object takes these maps. */
export const mapsOf = (folder: string, object: ObjectName): string[] =>
  OBJECTS[object].maps.flatMap((name) => ["map", "name", name, "pinned", `${folder}/${name}`]);

function fail(name: string): never {
  throw new Error(`there is no map ${name}`);
}
