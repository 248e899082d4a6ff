import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  CONNECTION_KINDS,
  EGRESS_FLAGS,
  encode,
  HOOKS,
  LAYOUT_VERSION,
  MAPS,
  NAT_STATE,
  OBJECTS,
  type ObjectName,
  offsetsOf,
  STRUCTS,
  type StructName,
  sizeOf,
  VERDICTS,
} from "../../provider/kernel/bpf-layout";
import { constantAt, withConstants } from "../../provider/kernel/bpf-object";
import { compiled, hex, Kernel, SOURCES } from "./kernel";
import { CLASSIFIER, makeMaps, mapsOf } from "./maps";

interface BtfType {
  readonly kind: string;
  readonly name: string;
  readonly size: number;
  readonly members?: readonly { readonly name: string; readonly bits_offset: number }[];
  readonly values?: readonly { readonly name: string; readonly val: number }[];
}

const NAMES = Object.keys(OBJECTS) as ObjectName[];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-btf-"));
const objects = new Map(NAMES.map((name) => [name, compiled(path.join(SOURCES, `${name}.bpf.c`), folder)]));
const objectOf = (name: ObjectName) => path.join(folder, `${name}.bpf.o`);
const types = [...objects.keys()].flatMap((name) => {
  const said = execFileSync("bpftool", ["-j", "btf", "dump", "file", objectOf(name)]);
  return (JSON.parse(said.toString()) as { readonly types: readonly BtfType[] }).types;
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

test.each(Object.keys(STRUCTS) as StructName[])("%s lies in memory as the object's BTF says", (name) => {
  const found = types.filter((type) => type.kind === "STRUCT" && type.name === name);
  expect(found.length).toBeGreaterThan(0);
  const members = offsetsOf(name).map(({ member, at }) => ({ name: member, bits_offset: at * 8 }));
  const size = offsetsOf(name).reduce((total, { type }) => total + sizeOf(type), 0);
  for (const type of found)
    expect({
      size: type.size,
      members: type.members?.map(({ name: member, bits_offset }) => ({ name: member, bits_offset })),
    }).toEqual({ size, members });
});

test.each([
  ["egw_hook", "EGW_HOOK_", HOOKS],
  ["egw_verdict", "EGW_", VERDICTS],
] as const)("%s has the names of the object's BTF", (name, prefix, names) => {
  const found = types.find((type) => type.kind === "ENUM" && type.name === name);
  const expected = names.map((one, val) => ({ name: `${prefix}${one.toUpperCase().replaceAll("-", "_")}`, val }));
  expect(found?.values?.slice(0, -1)).toEqual(expected);
  expect(found?.values?.at(-1)).toMatchObject({ val: names.length });
});

test("flags, kinds of connections and their states have the numbers of the object's BTF", () => {
  const valuesOf = (name: string) => types.find((type) => type.kind === "ENUM" && type.name === name)?.values;
  const states = Object.entries(NAT_STATE).map(([name, val]) => ({ name: `EGW_NAT_${name.toUpperCase()}`, val }));
  expect(valuesOf("egw_nat_state")).toEqual(states);
  const flags = Object.entries(EGRESS_FLAGS).map(([name, val]) => ({ name: `EGRESS_${name.toUpperCase()}`, val }));
  expect(valuesOf("egw_egress")).toEqual(flags);
  const kinds = Object.entries(CONNECTION_KINDS).map(([name, val]) => ({ name: `EGW_${name.replace("-", "_")}`, val }));
  expect(valuesOf("egw_kind")).toEqual(kinds);
});

test("a policy's key is the seed's, byte for byte", () => {
  const key = encode("egw_policy_key", { prefix_length: 48, source: "10.0.0.174", destination: "172.18.0.0" });
  expect(key.toString("hex")).toBe("300000000a0000aeac120000");
  const value = encode("egw_policy", { egress_ip: "172.18.0.5", gateway: "172.18.0.5" });
  expect(value.toString("hex")).toBe("ac120005ac120005");
});

test("constants are put into an object, and what it does not have is refused", () => {
  const client = objects.get("client") ?? Buffer.alloc(0);
  const value = Buffer.from([7, 0, 0, 0]);
  const patched = withConstants(client, { tunnel_ifindex: value });
  const differing = [...patched].flatMap((byte, i) => (byte === client[i] ? [] : [byte]));
  expect(differing).toEqual([7]);
  const { at, size } = constantAt(client, "tunnel_ifindex");
  expect({ size, value: patched.readUInt32LE(at) }).toEqual({ size: 4, value: 7 });
  expect(() => constantAt(client, "nothing")).toThrow('the object has no constant "nothing"');
  expect(() => withConstants(client, { nothing: value })).toThrow('the object has no constant "nothing"');
  expect(() => withConstants(client, { tunnel_ifindex: Buffer.alloc(2) })).toThrow("has 4 bytes, its value 2");
});

test("the version is the object's", () => {
  for (const object of objects.values())
    expect(object.readUInt32LE(constantAt(object, "layout_version").at)).toBe(LAYOUT_VERSION);
});

describe("maps and programs", () => {
  let kernel: Kernel;
  beforeAll(() => {
    kernel = Kernel.start();
  });
  afterAll(() => kernel.stop());

  const shapeOf = (pin: string) => {
    const said = kernel.run("bpftool", "-j", "map", "show", "pinned", pin);
    const { type, bytes_key: key, bytes_value: value, max_entries: entries, flags } = JSON.parse(said);
    return { type, key, value, entries, flags };
  };

  test.each(NAMES)("of the %s object are as the tables say", (name) => {
    const { pins } = kernel.load(`${name}.bpf.c`);
    expect(fs.readdirSync(`${pins}/programs`).sort()).toEqual([...OBJECTS[name].programs].sort());
    const maps = fs.readdirSync(`${pins}/maps`).filter((map) => map.startsWith("egw_"));
    expect(maps.sort()).toEqual([...OBJECTS[name].maps].sort());
    for (const map of maps) {
      const { programs, ...shape } = MAPS[map] ?? { programs: [] };
      expect(programs).toContain(name);
      expect({ map, ...shapeOf(`${pins}/maps/${map}`) }).toEqual({ map, ...shape });
    }
  });

  test("that are made before the programs are taken by them, and show their bytes as they are", () => {
    const folder = kernel.pinned("made");
    for (const name of NAMES) {
      makeMaps(kernel.run, `${folder}/${name}`, name);
      kernel.run(
        "bpftool",
        "prog",
        "loadall",
        objectOf(name),
        `${folder}/${name}-programs`,
        ...CLASSIFIER,
        ...mapsOf(`${folder}/${name}`, name),
      );
    }
    const key = encode("egw_policy_key", { prefix_length: 48, source: "10.0.0.174", destination: "172.18.0.0" });
    const value = encode("egw_policy", { egress_ip: "172.18.0.5", gateway: "172.18.0.6" });
    const pin = `${folder}/client/egw_policies`;
    kernel.run("bpftool", "map", "update", "pinned", pin, "key", ...hex(key), "value", ...hex(value));
    expect(kernel.run("bpftool", "map", "dump", "pinned", pin).split("\n")[0]).toBe(
      "key: 30 00 00 00 0a 00 00 ae  ac 12 00 00  value: ac 12 00 05 ac 12 00 06",
    );
    // A program that made maps of its own would not have this one.
    const ids = (what: string, one: string) => JSON.parse(kernel.run("bpftool", "-j", what, "show", "pinned", one));
    expect(ids("prog", `${folder}/client-programs/from_pod`).map_ids).toContain(ids("map", pin).id);
  });
});
