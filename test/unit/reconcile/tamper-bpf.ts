import { runEntryLine } from "./fake-bpf";
import type { FakeFilter, FakeMap, FakeProgram, World } from "./fake-world";
import { type Of, type Tamper, tamper } from "./hand";

export const BPF_TAMPERS: readonly Tamper[] = [
  tamper("bpf-map", "unpinned", "missing", ({ bpf }, o) => {
    bpf.maps.delete(`${o.version} ${o.name}`);
  }),
  tamper("bpf-map", "made again with another size", "changed", ({ bpf, numbers }, o) => {
    bpf.maps.set(`${o.version} ${o.name}`, { ...mapOf(bpf, o), id: numbers.next++, most: 1024, entries: new Map() });
  }),
  tamper("bpf-map", "of another size under its programs, with more in it", "changed", ({ bpf }, o) => {
    const map = mapOf(bpf, o);
    map.most = 1024;
    map.entries.set("00".repeat(map.key), "00".repeat(map.value));
  }),
  tamper("bpf-map", "of another version added", "extra", ({ bpf, numbers }, o) => {
    bpf.maps.set(`0 ${o.name}`, { ...mapOf(bpf, o), id: numbers.next++, entries: new Map() });
  }),
  tamper("bpf-entry", "removed", "missing", (world, o) => runEntryLine(world, `delete ${o.map} ${o.key}`)),
  tamper("bpf-entry", "changed", "changed", (world, o) =>
    runEntryLine(world, `update ${o.map} ${o.key} ${turned(o.value)}`),
  ),
  tamper("bpf-entry", "added", "extra", (world, o) => {
    const length = { egw_policies: "40", egw_sources: "20" }[o.map] ?? o.key.slice(0, 2);
    runEntryLine(world, `update ${o.map} ${length}${turned(o.key.slice(2))} ${o.value}`);
  }),
  tamper("bpf-program", "unpinned", "missing", ({ bpf }, o) => {
    bpf.programs = bpf.programs.filter((one) => one !== programOf(bpf, o));
  }),
  tamper("bpf-program", "unpinned in part", "changed", ({ bpf }, o) => {
    const { programs } = programOf(bpf, o);
    programs.delete(o.programs[0] ?? "");
  }),
  tamper("bpf-program", "of another hash added", "extra", ({ bpf }, o) => {
    bpf.programs.push({ ...structuredClone(programOf(bpf, o)), hash: "00000000aa" });
  }),
  tamper("tc-filter", "detached", "missing", ({ bpf }, o) => {
    const filters = filtersOf(bpf, o);
    filters.splice(filters.indexOf(filterOf(bpf, o)), 1);
  }),
  tamper("tc-filter", "detached with its hook", "missing", ({ bpf }, o) => {
    if (bpf.hooks.get(o.device) === "theirs") return false;
    bpf.hooks.delete(o.device);
    for (const direction of ["ingress", "egress"]) bpf.filters.delete(`${o.device} ${direction}`);
    return true;
  }),
  tamper("tc-filter", "with another program", "changed", ({ bpf, numbers }, o) => {
    filterOf(bpf, o).program = numbers.next++;
  }),
  tamper("tc-filter", "with another program of ours", "changed", ({ bpf }, o) => {
    const [object = "", hash = ""] = o.of.split(" ");
    const others = bpf.programs.filter((one) => one.object === object && one.hash === hash);
    const [other] = others.flatMap(({ programs }) =>
      [...programs].flatMap(([name, id]) => (name === o.program ? [] : [id])),
    );
    filterOf(bpf, o).program = other ?? 0;
  }),
  tamper("tc-filter", "replaced by one of others", "missing", ({ bpf }, o) => {
    Object.assign(filterOf(bpf, o), { name: "their_filter", program: 8 });
  }),
  tamper("tc-filter", "behind one of others", "changed", ({ bpf }, o) => {
    filtersOf(bpf, o).unshift({ preference: 2, name: "their_filter", program: 8 });
  }),
  tamper("tc-filter", "doubled", "extra", ({ bpf }, o) => {
    filtersOf(bpf, o).unshift({ ...filterOf(bpf, o), preference: 20 });
  }),
  tamper("tc-filter", "on another device added", "extra", ({ bpf }, o) => {
    const filters = bpf.filters.get("eth0 egress") ?? [];
    if (filters.some(({ name }) => name === `egw-${o.program}`)) return false;
    bpf.filters.set("eth0 egress", [{ ...filterOf(bpf, o), preference: 20 }, ...filters]);
    return true;
  }),
];

type Bpf = World["bpf"];

function found<T>(one: T | undefined): T {
  if (one === undefined) throw new Error("not on this node");
  return one;
}
const mapOf = ({ maps }: Bpf, o: Of<"bpf-map">): FakeMap => found(maps.get(`${o.version} ${o.name}`));
const programOf = ({ programs }: Bpf, o: Of<"bpf-program">): FakeProgram =>
  found(programs.find(({ object, hash }) => object === o.object && hash === o.hash));
const filtersOf = ({ filters }: Bpf, o: Of<"tc-filter">): FakeFilter[] =>
  found(filters.get(`${o.device} ${o.direction}`));
const filterOf = (bpf: Bpf, o: Of<"tc-filter">): FakeFilter =>
  found(filtersOf(bpf, o).find(({ name }) => name === `egw-${o.program}`));

/** With another last digit. */
const turned = (hex: string): string => hex.slice(0, -1) + (hex.endsWith("7") ? "8" : "7");
