import { type Kind, lines } from "./kind";

/** A pinned map. */
export interface BpfMap {
  readonly kind: "bpf-map";
  /** Of the layout that its keys and values have. */
  readonly version: number;
  readonly name: string;
  readonly type: string;
  /** Bytes of a key. */
  readonly key: number;
  /** Bytes of a value. */
  readonly value: number;
  /** The most entries that it takes. */
  readonly entries: number;
  readonly flags: number;
}

export const bpfMap: Kind<BpfMap> = {
  kind: "bpf-map",
  ownership: "it is pinned in our folder",
  key: (o) => `bpf-map ${o.name} version ${o.version}`,
  text: (o) =>
    `bpf-map ${o.name} version ${o.version} ${o.type} key ${o.key} value ${o.value} entries ${o.entries} flags ${o.flags}`,
  // map VERSION NAME TYPE KEY VALUE ENTRIES FLAGS
  parse: (output) =>
    lines(output).flatMap((line) => {
      const [word, version, name = "", type = "", ...numbers] = line.split(" ");
      if (word !== "map") return [];
      const [key = 0, value = 0, entries = 0, flags = 0] = numbers.map(Number);
      return [{ kind: "bpf-map" as const, version: Number(version), name, type, key, value, entries, flags }];
    }),
};
