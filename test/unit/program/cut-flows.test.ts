import * as os from "node:os";
import { encode, LAYOUT_VERSION, type Values } from "../../../provider/kernel/bpf-layout";
import { BPF_PROBE_FUNCTIONS } from "../../../provider/program/bpf";
import { FLOW_FUNCTIONS } from "../../../provider/program/cut-flows";
import { GATEWAY, OPENING, tuple, words } from "./flow-entry";
import { Shell } from "./shell";

/** What `egw_flows` prints of one entry of egw_flows, seen just now. */
function shown(change: Partial<Values<"egw_flow">>, after = ":"): string {
  const shell = new Shell();
  const seen = BigInt(Math.floor(os.uptime() * 1e9));
  const value = encode("egw_flow", { seen, gateway: GATEWAY, ifindex: 5, state: 0, ...change });
  shell.write("dump", `key:\n${words(tuple)}\nvalue:\n${words(value)}\nFound 1 element\n`);
  shell.write("cuts", `cut mark ${0x26000100}/4294967040 - ${GATEWAY}\n`);
  shell.tool("bpftool", `cat ${shell.folder}/dump; ${after}`);
  const map = `pins/maps-${LAYOUT_VERSION}`;
  const { stdout } = shell.run(
    `${BPF_PROBE_FUNCTIONS}\n${FLOW_FUNCTIONS}\nBPF=${shell.folder}/pins; mkdir -p ${shell.folder}/${map}; : > ${shell.folder}/${map}/egw_flows; egw_flows ${shell.folder}/cuts > ${shell.folder}/told && cat ${shell.folder}/told || echo failed`,
  );
  shell.remove();
  return stdout.trim();
}

test("what a program carries is shown with the device behind which its pod is", () => {
  expect(shown({})).toMatch(/^tcp 6 \d+ ESTABLISHED src=10\.0\.1\.11 .* ifindex=5 bpf=egw_flows:[0-9a-f]{32}$/);
  expect(shown({ ifindex: 0x0102_0305 })).toContain(` ifindex=${0x0102_0305} bpf=`);
});

test("what only begins is shown with its device too, but not as open", () => {
  expect(shown({ ifindex: OPENING + 5 })).toMatch(/ opening ifindex=5 bpf=egw_flows:/);
  expect(shown({})).not.toContain("opening");
});

test("what was not sent to a gateway is none", () => {
  expect(shown({ gateway: "0.0.0.0", ifindex: OPENING + 5 })).toBe("");
});

test("TCP that has ended long ago is shown with no time left: a program carries it all the same", () => {
  const longAgo = BigInt(Math.floor((os.uptime() - 121) * 1e9));
  expect(shown({ seen: longAgo, state: 6 })).toMatch(/^tcp 6 0 TIME_WAIT /);
  expect(shown({ seen: longAgo, state: 4 })).toMatch(/^tcp 6 431\d{3} ESTABLISHED /);
});

test("a map that can't be read is no empty one", () => {
  expect(shown({}, "exit 1")).toBe("failed");
});
