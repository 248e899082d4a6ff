import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { encode, HOOKS, offsetsOf, STRUCTS, type StructName, sizeOf, VERDICTS } from "../../provider/kernel/bpf-layout";
import { withConstants } from "../../provider/kernel/bpf-object";
import { compiled, SOURCES } from "./kernel";

interface BtfType {
  readonly kind: string;
  readonly name: string;
  readonly size: number;
  readonly members?: readonly { readonly name: string; readonly bits_offset: number }[];
  readonly values?: readonly { readonly name: string; readonly val: number }[];
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-btf-"));
const objects = new Map(
  ["client", "gateway"].map((name) => [name, compiled(path.join(SOURCES, `${name}.bpf.c`), folder)]),
);
const types = [...objects.keys()].flatMap((name) => {
  const said = execFileSync("bpftool", ["-j", "btf", "dump", "file", path.join(folder, `${name}.bpf.o`)]);
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
  ["egw_hook", HOOKS],
  ["egw_verdict", VERDICTS],
] as const)("%s has the names of the object's BTF", (name, names) => {
  const found = types.find((type) => type.kind === "ENUM" && type.name === name);
  const expected = names.map((one, val) => ({ name: `EGW_${one.toUpperCase().replaceAll("-", "_")}`, val }));
  expect(found?.values?.slice(0, -1)).toEqual(expected);
  expect(found?.values?.at(-1)).toMatchObject({ val: names.length });
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
  expect(() => withConstants(client, { nothing: value })).toThrow('the object has no constant "nothing"');
  expect(() => withConstants(client, { tunnel_ifindex: Buffer.alloc(2) })).toThrow("has 4 bytes, its value 2");
});
