import { spawnSync } from "node:child_process";
import { applyScript, type Batch } from "../../../provider/program/apply";
import { claimScript, releaseScript } from "../../../provider/program/registry";
import { RESTORE_PROGRAM } from "../../../provider/program/restore";
import { probeScript } from "../../../provider/program/shell-probe";
import { EMPTY_BATCH } from "./empty-batch";
import { hasTool } from "./shell";

const OWNER = "0f9c2d1e-5b7a-4c3d-9e8f-112233445566";
const entry = { key: "mark-11", owner: OWNER, holder: "shop/prod/client-1", content: "client-1" };

const FULL: Batch = {
  ...EMPTY_BATCH,
  expectedGeneration: 7,
  steps: [
    { tool: "ip", input: ["link add egw.vxlan type vxlan external dstport 4790"], undo: ["link del egw.vxlan"] },
    { tool: "sysctl", input: ["net/ipv4/conf/egw.vxlan/rp_filter = 2"], undo: [] },
    { tool: "ipset", input: ["create egw-s hash:net family inet"], undo: ["destroy egw-s"] },
    { tool: "iptables", input: ["*nat", "COMMIT"], undo: ["*nat", "COMMIT"] },
    { tool: "arping", input: ["eth0 192.0.2.1"], undo: [] },
  ],
  newTables: [3001, 3002],
  claims: { write: { [OWNER]: '{"kind":"policy"}' }, remove: ["gone"] },
  cuts: [
    {
      sources: ["10.0.1.11/32"],
      destinations: ["0.0.0.0/1", "128.0.0.0/1"],
      except: ["203.0.113.0/24"],
      by: { kind: "mark", mark: 0x26000b00, mask: 0xffff3fff },
    },
  ],
  bury: "192.168.0.11",
  announce: [{ device: "eth0", address: "192.0.2.1" }],
  restoreIp: ["link set egw.vxlan up"],
  installRestore: true,
};

const SCRIPTS: Readonly<Record<string, string>> = {
  "the probe": probeScript("1"),
  "an empty batch": applyScript(EMPTY_BATCH),
  "a full batch": applyScript(FULL),
  "the last batch of a node": applyScript({ ...FULL, node: undefined }),
  "a claim": claimScript("lab", [entry, { ...entry, key: "ip-192.0.2.1" }, { ...entry, key: "settings" }]),
  "a release": releaseScript("lab", OWNER, ["ip-192.0.2.1"]),
  "the restore program": RESTORE_PROGRAM,
};

describe.each(["sh", "dash", "bash"].filter(hasTool))("%s", (shell) => {
  test.each(Object.entries(SCRIPTS))("reads %s without a complaint", (_, script) => {
    const { status, stderr } = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});

const WORDS = ["", "a b", "a;reboot", "$(reboot)", "`reboot`", "a\nb", "../a", "a'b", 'a"b', "*"];

test.each(WORDS)("%j is no owner's id", (word) => {
  expect(() => applyScript({ ...EMPTY_BATCH, claims: { write: { [word]: "{}" }, remove: [] } })).toThrow("owner id");
  expect(() => applyScript({ ...EMPTY_BATCH, claims: { write: {}, remove: [word] } })).toThrow("owner id");
  expect(() => claimScript("lab", [{ ...entry, owner: word }])).toThrow("not allowed");
  expect(() => releaseScript("lab", word)).toThrow("not allowed");
});

test.each([...WORDS, "Lab", "-lab", "lab-", "x".repeat(64)])("%j is no fleet's name", (word) => {
  expect(() => claimScript(word, [entry])).toThrow("not allowed");
  expect(() => releaseScript(word, OWNER)).toThrow("not allowed");
});

test.each([...WORDS, "mark-", "mark-123456", "ip-", "other"])("%j is no key of a registry", (word) => {
  expect(() => claimScript("lab", [{ ...entry, key: word }])).toThrow("not allowed");
  expect(() => releaseScript("lab", OWNER, [word])).toThrow("not allowed");
});

test.each(WORDS)("%j never becomes shell text as a device or an address", (word) => {
  expect(() => applyScript({ ...EMPTY_BATCH, announce: [{ device: word, address: "192.0.2.1" }] })).toThrow(
    "not a device",
  );
  expect(() => applyScript({ ...EMPTY_BATCH, announce: [{ device: "eth0", address: word }] })).toThrow(
    "not an address",
  );
  expect(() => applyScript({ ...EMPTY_BATCH, bury: word })).toThrow("not an address");
});

test("what a user wrote is data in every script", () => {
  const words = "$(reboot) `reboot` '; reboot";
  const scripts = [
    applyScript({ ...EMPTY_BATCH, node: words, claims: { write: { [OWNER]: words }, remove: [] } }),
    claimScript("lab", [{ ...entry, holder: words }]),
  ];
  for (const script of scripts) {
    const outside = script.replace(/<<'(EGW_DATA_\d+)'[^\n]*\n[\s\S]*?\n\1\n/g, "");
    expect(script).toContain("reboot");
    expect(outside).not.toContain("reboot");
  }
});
