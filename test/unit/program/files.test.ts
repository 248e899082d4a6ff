import { createHash } from "node:crypto";
import { applyScript, type Batch } from "../../../provider/program/apply";
import { ENABLED, RUN, STATE_FILES, SYSTEMD, UNIT } from "../../../provider/program/files";
import { RESTORE_PROGRAM, RESTORE_UNIT } from "../../../provider/program/restore";
import { probeScript, STATE_DIRECTORY } from "../../../provider/program/shell-probe";
import { fileDrift } from "../../../provider/runtime/files";
import { parseSnapshot, type Snapshot } from "../../../provider/runtime/snapshot";
import { nodeClaim, policyClaim } from "../reconcile/states";
import { Shell } from "./shell";

/** A node with an empty kernel, and a systemd that links what it enables. */
class Node {
  readonly shell = new Shell();
  readonly state = `${this.shell.folder}/state`;
  told = "";

  constructor() {
    for (const tool of [
      "ip",
      "ipset",
      "iptables",
      "iptables-restore",
      "iptables-save",
      "conntrack",
      "arping",
      "tc",
      "bpftool",
    ])
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
  apply({ generation, misread }: Snapshot, change: Partial<Batch> = {}): Snapshot {
    const { id } = CLAIM.owner;
    const claims = { write: { [id]: JSON.stringify(CLAIM) }, remove: misread.filter((one) => one !== id) };
    return this.answer(applyScript({ ...BATCH, claims, node: this.file(), expectedGeneration: generation, ...change }));
  }

  private answer(script: string): Snapshot {
    const { folder } = this.shell;
    const told = this.run(script)
      .replaceAll(`${folder}/etc`, "/etc/systemd")
      .replaceAll(`${folder}/run`, "/run/systemd");
    this.told = told;
    return parseSnapshot(told);
  }
}

const CLAIM = nodeClaim("gateway-1");
const BATCH: Omit<Batch, "node" | "claims" | "expectedGeneration"> = {
  steps: [],
  compiler: "1",
  cuts: [],
  bury: undefined,
  announce: [],
  restoreIp: ["link set egw.vxlan up"],
  installRestore: true,
  newTables: [],
  objects: [],
};

let node: Node;
beforeAll(() => {
  node = new Node();
  expect(fileDrift(node.apply(node.probe()))).toEqual([]);
});
afterAll(() => node.shell.remove());

const pathOf = (name: string): string => (name.startsWith("/") ? name : `${STATE_DIRECTORY}/${name}`);

const CLAIM_FILE = `claims/${CLAIM.owner.id}.json`;
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
  ...[": >", "echo '{}' >", "echo { >", "cat node.json >>"].map((command): [string, string] => [
    `changed  file claims/${CLAIM.owner.id}.json`,
    `cd ${STATE_DIRECTORY}; ${command} ${CLAIM_FILE}`,
  ]),
  [`extra    file claims/${CLAIM.owner.id}.json`, `cd ${STATE_DIRECTORY}; rm ${CLAIM_FILE}; mkdir ${CLAIM_FILE}`],
  [
    `extra    file claims/${CLAIM.owner.id}.json`,
    `cd ${STATE_DIRECTORY}; mv ${CLAIM_FILE} x; ln -s ../x ${CLAIM_FILE}`,
  ],
  ["changed  file claims/policy-1.json", `cd ${STATE_DIRECTORY}; cp ${CLAIM_FILE} claims/policy-1.json`],
  ["changed  file claims/node-1.json", `cd ${STATE_DIRECTORY}; mv ${CLAIM_FILE} claims/node-1.json`],
  ["extra    file claims/zz.json", `cd ${STATE_DIRECTORY}; cp ${CLAIM_FILE} claims/zz.json`],
  ["extra    file claims/node-1.json.swp", `cd ${STATE_DIRECTORY}; touch claims/node-1.json.swp`],
  ["extra    file claims/?", `cd ${STATE_DIRECTORY}; touch "claims/node-1 2.json"`],
  ["extra    file restore/?", `touch "${STATE_DIRECTORY}/restore/by hand; \nexit"`],
];

test("a probe of what was left as it is tells nothing", () => {
  expect(fileDrift(node.probe())).toEqual([]);
});

test.each(TAMPERS)("%s, by %s, is told alone, and the next batch puts it back", (line, script) => {
  node.run(script);
  const found = node.probe();
  expect(fileDrift(found)).toEqual([line]);
  const after = node.apply(found);
  expect([fileDrift(after), after.claims]).toEqual([[], [CLAIM]]);
});

test("a claim file without an end of its line is that claim, and no more", () => {
  const policy = policyClaim("policy-web");
  node.apply(node.probe(), {
    claims: { write: { [CLAIM.owner.id]: JSON.stringify(CLAIM), "policy-web": JSON.stringify(policy) }, remove: [] },
  });
  node.run(`cd ${STATE_DIRECTORY}/claims; for f in *; do truncate -s -1 $f; done`);
  const found = node.probe();
  expect([fileDrift(found), found.claims, found.isManifestWhole]).toEqual([[], [CLAIM, policy], true]);
  node.apply(found, { claims: { write: {}, remove: ["policy-web"] } });
});

test("a claim file of another name is another manifest", () => {
  node.run(`cd ${STATE_DIRECTORY}; mv ${CLAIM_FILE} claims/node-1.json`);
  const found = node.probe();
  expect(node.told).toContain("@@manifest-changed");
  node.apply(found);
  node.probe();
  expect(node.told).not.toContain("@@manifest-changed");
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

test("where the folder of claims is none, it is made again", () => {
  node.run(`cd ${STATE_DIRECTORY}; rm -r claims; touch claims`);
  expect(node.apply(node.probe()).claims).toEqual([CLAIM]);
});

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
