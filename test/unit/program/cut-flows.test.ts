import * as os from "node:os";
import { decode, encode, LAYOUT_VERSION, type Values } from "../../../provider/kernel/bpf-layout";
import { BPF_PROBE_FUNCTIONS } from "../../../provider/program/bpf";
import { FLOW_FUNCTIONS } from "../../../provider/program/cut-flows";
import { ago } from "../../bpf/kernel";
import { GATEWAY, OPENING, tuple, words } from "./flow-entry";
import { Shell } from "./shell";

/** What `egw_flows` prints of one entry of egw_flows, seen just now. */
const shown = (change: Partial<Values<"egw_flow">>, after?: string): string =>
  printed(
    "egw_flows",
    tuple,
    encode("egw_flow", { seen: ago(0), gateway: GATEWAY, ifindex: 5, state: 0, ...change }),
    after,
  );

/** What it prints of a translation. */
const translated = (protocol: number, state: number, silent: number): string => {
  const nat = {
    seen: ago(silent),
    egress_ip: "192.0.2.1",
    client: "192.168.0.11",
    port: 40000,
    client_mac: "66:26:00:00:00:0b",
    state,
  };
  return printed(
    "egw_nat_out",
    encode("egw_tuple", { ...decode("egw_tuple", tuple), protocol }),
    encode("egw_nat", nat),
  );
};

function printed(name: string, key: Buffer, value: Buffer, after = ":"): string {
  const shell = new Shell();
  shell.write("dump", `key:\n${words(key)}\nvalue:\n${words(value)}\nFound 1 element\n`);
  shell.write("cuts", `cut mark ${0x26000100}/4294967040 - ${GATEWAY}\n`);
  shell.tool("bpftool", `cat ${shell.folder}/dump; ${after}`);
  const map = `pins/maps-${LAYOUT_VERSION}`;
  const { stdout } = shell.run(
    `${BPF_PROBE_FUNCTIONS}\n${FLOW_FUNCTIONS}\nBPF=${shell.folder}/pins; mkdir -p ${shell.folder}/${map}; : > ${shell.folder}/${map}/${name}; egw_flows ${shell.folder}/cuts > ${shell.folder}/told && cat ${shell.folder}/told || echo failed`,
  );
  shell.remove();
  return stdout.trim();
}

test("what a program carries is shown with the device behind which its pod is", () => {
  expect(shown({})).toMatch(/^tcp 6 \d+ ESTABLISHED src=10\.0\.1\.11 .* ifindex=5 bpf=egw_flows:[0-9a-f]{32}$/);
  expect(shown({ ifindex: 0x0102_0305 })).toContain(` ifindex=${0x0102_0305} bpf=`);
});

test.each([
  [0, 30],
  [1, 30],
  [1 + 16, 120],
])("datagrams in state %i are shown for %i s", (state, seconds) => {
  const udp = { ...decode("egw_tuple", tuple), protocol: 17 };
  const silent = (time: number) =>
    printed(
      "egw_flows",
      encode("egw_tuple", udp),
      encode("egw_flow", { seen: ago(time), gateway: GATEWAY, ifindex: 5, state }),
    );
  expect(silent(seconds - 1)).toMatch(/^udp 17 [01] src=/);
  expect(silent(seconds + 1)).toBe("");
});

test("what only begins is shown with its device too, but not as open", () => {
  expect(shown({ ifindex: OPENING + 5 })).toMatch(/ opening ifindex=5 bpf=egw_flows:/);
  expect(shown({})).not.toContain("opening");
});

test("what was not sent to a gateway is none", () => {
  expect(shown({ gateway: "0.0.0.0", ifindex: OPENING + 5 })).toBe("");
});

test("TCP that has ended long ago is shown with no time left: a program carries it all the same", () => {
  const longAgo = ago(121);
  for (const state of [2 + 4, 1 + 2 + 4 + 16, 8])
    expect(shown({ seen: longAgo, state })).toMatch(/^tcp 6 0 TIME_WAIT /);
  for (const state of [2, 4, 1 + 16]) expect(shown({ seen: longAgo, state })).toMatch(/^tcp 6 431\d{3} ESTABLISHED /);
});

test.each([
  ["icmp", 1, 0, 30],
  ["icmp", 1, 1, 30],
  ["udp", 17, 0, 30],
  ["udp", 17, 1, 30],
  ["udp", 17, 16, 30],
  ["udp", 17, 17, 120],
  ["tcp", 6, 0, 120],
  ["tcp", 6, 1, 432000],
  ["tcp", 6, 1 + 16, 432000],
  ["tcp", 6, 1 + 2, 3600],
  ["tcp", 6, 2, 120],
  ["tcp", 6, 1 + 4, 432000],
  ["tcp", 6, 1 + 2 + 4 + 16, 120],
  ["tcp", 6, 1 + 8, 120],
  ["tcp", 6, 1 + 8 + 32, 10],
  ["tcp", 6, 1 + 2 + 4 + 8 + 32, 10],
])(
  "a translation is shown for as long as it has its port: %s (%i) in state %i for %i s",
  (name, protocol, state, seconds) => {
    expect(translated(protocol, state, 0)).toMatch(
      new RegExp(`^${name} ${protocol} (${seconds}|${seconds + 1}) .* bpf=egw_nat_out:`),
    );
    // No machine is silent for longer than it runs.
    if (seconds > os.uptime()) return;
    expect(translated(protocol, state, seconds - 1)).toMatch(new RegExp(`^${name} `));
    expect(translated(protocol, state, seconds + 2)).toBe("");
  },
);

test("a map that can't be read is no empty one", () => {
  expect(shown({}, "exit 1")).toBe("failed");
});
