import type { GatewayClaim, NodeClaim } from "../../../provider/model/claim";
import { SAVED, STATE_FILES, SYSTEMD, UNIT, UNIT_FILES } from "../../../provider/program/files";
import { parseSections } from "../../../provider/program/frame";
import { batchFor, isEmpty } from "../../../provider/runtime/batch";
import { driftOf } from "../../../provider/runtime/drift";
import { fileDrift, parseFiles, RESTORE_DIGESTS } from "../../../provider/runtime/files";
import type { NodeFile, Snapshot } from "../../../provider/runtime/snapshot";
import { seen, settings } from "./snapshots";

const sum = (digit: string): string => digit.repeat(64);
/** Of `1` with a newline: generation 1. */
const GENERATION = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865";
const NODE: NodeFile = {
  version: 1,
  tables: {},
  dropPolicies: [],
  podDevices: [],
  carried: {},
  loosened: {},
  restore: RESTORE_DIGESTS,
};

const digests: Readonly<Record<string, string>> = {
  ...Object.fromEntries(SAVED.map((name, i) => [name, sum(`${i}`)])),
  ...RESTORE_DIGESTS,
  generation: GENERATION,
  "restore/sums": sum("a"),
};
const line = (name: string, digest = digests[name]): string => `${digest}  ${name}`;
const RECORD = SAVED.map((name) => line(name));

/** A node on which these lines stand for its files, and this record. */
function nodeWith(there: readonly string[], recorded: readonly string[] = RECORD) {
  const stdout = ["@@files", ...there, "@@files-recorded", ...recorded, "", "@@end", ""].join("\n");
  return { generation: 1, node: NODE, misread: [] as string[], files: parseFiles(parseSections(stdout)) };
}

const whole = STATE_FILES.map((name) => line(name));
const but = (name: string, ...instead: readonly string[]): string[] => [
  ...whole.filter((one) => !one.endsWith(`  ${name}`)),
  ...instead,
];

test("what is as it was left is no drift", () => {
  expect(fileDrift(nodeWith(whole))).toEqual([]);
});

test.each(STATE_FILES)("%s missing", (name) => {
  expect(fileDrift(nodeWith(but(name)))).toEqual([`missing  file ${name}`]);
});

// What the record says can be compared with nothing but its own form.
test.each(STATE_FILES.filter((name) => name !== "restore/sums"))("%s changed", (name) => {
  expect(fileDrift(nodeWith(but(name, line(name, sum("f")))))).toEqual([`changed  file ${name}`]);
});

test.each<[string, readonly string[]]>([
  ["empty", []],
  ["cut off", RECORD.slice(1)],
  ["with a line more", [...RECORD, "#"]],
  ["in another order", [...RECORD].reverse()],
])("a record that is %s is the one file that is told", (_, record) => {
  expect(fileDrift(nodeWith(whole, record))).toEqual(["changed  file restore/sums"]);
});

test("what else is in the folder of the boot program is extra, a folder in a file's place is a change", () => {
  const there = [...but("restore/ip", "-  restore/ip"), "-  restore/by-hand", "-  restore/?"];
  expect(fileDrift(nodeWith(there))).toEqual([
    "changed  file restore/ip",
    "extra    file restore/?",
    "extra    file restore/by-hand",
  ]);
});

test("the unit and its link count where systemd runs", () => {
  const systemd = `-  ${SYSTEMD}`;
  const [unit = "", enabled = ""] = UNIT_FILES;
  expect(fileDrift(nodeWith([...whole, systemd]))).toEqual([`missing  file ${enabled}`, `missing  file ${unit}`]);
  expect(fileDrift(nodeWith([...whole, systemd, line(unit)]))).toEqual([`missing  file ${enabled}`]);
  expect(fileDrift(nodeWith([...whole, systemd, line(unit), `-  ${enabled}`]))).toEqual([]);
  expect(fileDrift(nodeWith([...whole, systemd, line(unit, sum("f")), `-  ${enabled}`]))).toEqual([
    `changed  file ${unit}`,
  ]);
});

test("a program of another version is no drift while it is the one that the node was given", () => {
  const former = sum("e");
  const node = { ...NODE, restore: { ...NODE.restore, "restore/run": former } };
  expect(fileDrift({ ...nodeWith(but("restore/run", line("restore/run", former))), node })).toEqual([]);
  expect(fileDrift({ ...nodeWith(whole), node })).toEqual(["changed  file restore/run"]);
});

const enrolment: NodeClaim = {
  kind: "node",
  owner: { id: "node-1", project: "shop", stack: "prod", name: "n1" },
  node: "n1",
  index: 1,
  underlay: "192.0.2.91",
  uplink: "eth0",
  mtu: 1450,
  fleet: settings(),
};
const gateway: GatewayClaim = {
  kind: "gateway",
  owner: { ...enrolment.owner, id: "gateway-1", name: "gateway" },
  nodes: {},
  placement: {},
  hold: [],
  extraIgnore: [],
  onTunnelLoss: "drop",
  inbound: "drop",
  weave: false,
};

/** An enrolled node whose kernel is as recorded. */
function snapshotWith(there: readonly string[]): Snapshot {
  const { snapshot } = seen({ claims: [enrolment] });
  if (!snapshot) throw new Error("not seen");
  const actual = batchFor(snapshot, [enrolment]).desired.map(({ object }) => object);
  return { ...snapshot, actual, ...nodeWith(there) };
}

test("it is told to the owner of the node's enrolment alone, also where the digests say that the kernel is as recorded", () => {
  const lost = { ...snapshotWith(but("restore/run")), claims: [enrolment, gateway], isAsRecorded: true };
  expect(driftOf(lost, "node-1", enrolment)).toEqual(["missing  file restore/run"]);
  expect(driftOf(lost, "gateway-1", gateway)).toEqual([]);
  expect(driftOf({ ...lost, claims: [gateway] }, "node-1", enrolment)).not.toContain("missing  file restore/run");
});

test("a batch with nothing to do for the kernel is sent for a file, and takes the boot program along", () => {
  const clean = snapshotWith(whole);
  const { batch } = batchFor(clean, [enrolment]);
  expect(batch).toMatchObject({ steps: [], installRestore: false });
  expect(isEmpty(batch, clean)).toBe(true);
  for (const name of STATE_FILES) {
    const lost = snapshotWith(but(name));
    const repair = batchFor(lost, [enrolment]).batch;
    expect(repair).toMatchObject({ steps: [], installRestore: true });
    expect(isEmpty(repair, lost)).toBe(false);
  }
});

test("a node that nothing is on has nothing to be put back", () => {
  const { snapshot } = seen({});
  if (!snapshot) throw new Error("not seen");
  expect(isEmpty(batchFor(snapshot, []).batch, snapshot)).toBe(true);
});

test("the unit is one of the programs that a node is given", () => {
  expect(Object.keys(RESTORE_DIGESTS)).toEqual(["restore/run", UNIT]);
});
