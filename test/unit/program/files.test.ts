import { createHash } from "node:crypto";
import { applyScript, type Batch } from "../../../provider/program/apply";
import { ENABLED, RUN, STATE_FILES, SYSTEMD, UNIT } from "../../../provider/program/files";
import { RESTORE_PROGRAM, RESTORE_UNIT } from "../../../provider/program/restore";
import { probeScript, STATE_DIRECTORY } from "../../../provider/program/shell-probe";
import { fileDrift } from "../../../provider/runtime/files";
import { parseSnapshot, type Snapshot } from "../../../provider/runtime/snapshot";
import { Shell } from "./shell";

/** A node with an empty kernel, and a systemd that links what it enables. */
class Node {
  readonly shell = new Shell();
  readonly state = `${this.shell.folder}/state`;

  constructor() {
    for (const tool of ["ip", "ipset", "iptables", "iptables-restore", "iptables-save", "conntrack", "arping"])
      this.shell.tool(tool, "exit 0");
    this.shell.tool("systemctl", this.here(`[ $1 = enable ] && ln -sf ${UNIT} ${ENABLED}; exit 0`));
    this.shell.run(this.here(`mkdir -p ${SYSTEMD} ${ENABLED.replace(/\/[^/]*$/, "")}`));
  }

  /** A script with the paths of a node as paths of this one. */
  private here(script: string): string {
    return script
      .replaceAll(STATE_DIRECTORY, this.state)
      .replaceAll(/\/(etc|run)\/systemd/g, `${this.shell.folder}/$1`);
  }

  private file(): string {
    const digest = (text: string) => createHash("sha256").update(this.here(text)).digest("hex");
    const restore = { [RUN]: digest(RESTORE_PROGRAM), [UNIT]: digest(RESTORE_UNIT) };
    return JSON.stringify({ version: 1, tables: {}, dropPolicies: [], restore });
  }

  run(script: string): string {
    return this.shell.run(this.here(script)).stdout;
  }

  /** What a probe says of it, in a node's own paths. */
  probe(): Snapshot {
    return this.answer(probeScript("1"));
  }

  /** What a batch that was planned for this snapshot answers. */
  apply({ generation }: Snapshot, change: Partial<Batch> = {}): Snapshot {
    return this.answer(applyScript({ ...BATCH, node: this.file(), expectedGeneration: generation, ...change }));
  }

  private answer(script: string): Snapshot {
    const { folder } = this.shell;
    const told = this.run(script)
      .replaceAll(`${folder}/etc`, "/etc/systemd")
      .replaceAll(`${folder}/run`, "/run/systemd");
    return parseSnapshot(told);
  }
}

const BATCH: Omit<Batch, "node" | "expectedGeneration"> = {
  steps: [],
  claims: { write: {}, remove: [] },
  compiler: "1",
  cuts: [],
  bury: undefined,
  announce: [],
  restoreIp: ["link set egw.vxlan up"],
  installRestore: true,
  newTables: [],
};

let node: Node;
beforeAll(() => {
  node = new Node();
  expect(fileDrift(node.apply(node.probe()))).toEqual([]);
});
afterAll(() => node.shell.remove());

const pathOf = (name: string): string => (name.startsWith("/") ? name : `${STATE_DIRECTORY}/${name}`);

const TAMPERS: readonly [string, string][] = [
  ...[...STATE_FILES, UNIT].flatMap((name): [string, string][] => [
    [`missing  file ${name}`, `rm ${pathOf(name)}`],
    [`changed  file ${name}`, `echo x >> ${pathOf(name)}`],
  ]),
  ["changed  file restore/run", `ln -sf ${STATE_DIRECTORY}/restore/ip ${STATE_DIRECTORY}/restore/run`],
  ...STATE_FILES.filter((name) => !name.startsWith("restore/")).map((name): [string, string] => [
    `missing  file ${name}`,
    `cd ${STATE_DIRECTORY}; rm ${name}; mkdir ${name}; touch ${name}/x`,
  ]),
  ["changed  file restore/ip", `cd ${STATE_DIRECTORY}/restore; rm ip; mkdir ip; touch ip/x`],
  [`changed  file ${UNIT}`, `ln -sf /dev/null ${UNIT}`],
  [`missing  file ${ENABLED}`, `rm ${ENABLED}`],
  ["extra    file restore/by-hand", `mkdir ${STATE_DIRECTORY}/restore/by-hand`],
  ["extra    file restore/?", `touch "${STATE_DIRECTORY}/restore/by hand; \nexit"`],
];

test("a probe of what was left as it is tells nothing", () => {
  expect(fileDrift(node.probe())).toEqual([]);
});

test.each(TAMPERS)("%s, by %s, is told alone, and the next batch puts it back", (line, script) => {
  node.run(script);
  const found = node.probe();
  expect(fileDrift(found)).toEqual([line]);
  expect(fileDrift(node.apply(found))).toEqual([]);
});

test.each([`rm -r ${STATE_DIRECTORY}/restore`, `cd ${STATE_DIRECTORY}; rm -r restore; touch restore`])(
  "a folder that is gone, or is none, is made again: %s",
  (script) => {
    node.run(script);
    const found = node.probe();
    const lost = STATE_FILES.filter((name) => name.startsWith("restore/"));
    expect(fileDrift(found)).toEqual(lost.map((name) => `missing  file ${name}`).sort());
    expect(fileDrift(node.apply(found))).toEqual([]);
  },
);

test("a batch that leaves the boot program as it is does not take a changed one for right", () => {
  node.run(`echo 'exit 0' > ${STATE_DIRECTORY}/restore/run`);
  const after = node.apply(node.probe(), { installRestore: false });
  expect(fileDrift(after)).toEqual(["changed  file restore/run"]);
  expect(fileDrift(node.apply(after))).toEqual([]);
});

test("after the last batch of a node neither unit nor folder is left", () => {
  const last = new Node();
  last.apply(last.apply(last.probe()), { node: undefined });
  expect(last.run(`ls -d ${STATE_DIRECTORY} ${UNIT}; echo`).trim()).toBe("");
  last.shell.remove();
});
