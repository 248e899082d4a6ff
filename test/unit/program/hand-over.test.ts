import { encode, LAYOUT_VERSION, type Values } from "../../../provider/kernel/bpf-layout";
import { BPF_PROBE_FUNCTIONS } from "../../../provider/program/bpf";
import { CUT_FUNCTION } from "../../../provider/program/cut";
import { HAND_OVER_FUNCTIONS } from "../../../provider/program/hand-over";
import { ago } from "../../bpf/kernel";
import { GATEWAY, OPENING, tuple, words } from "./flow-entry";
import { Shell } from "./shell";

/** What `egw_carried` says of one flow of the device 5, with what egw_peers holds. */
function carried(peers: string, change: Partial<Values<"egw_flow">> = {}, going = "ifindex=5"): string {
  const shell = new Shell();
  const value = encode("egw_flow", { seen: ago(0), gateway: GATEWAY, ifindex: 5, state: 0, ...change });
  shell.write("flows", `key:\n${words(tuple)}\nvalue:\n${words(value)}\nFound 1 element\n`);
  shell.write("peers", peers);
  shell.write("given-up", `${going}\n`);
  shell.tool("bpftool", `case "$*" in *egw_peers) cat ${shell.folder}/peers ;; *) cat ${shell.folder}/flows ;; esac`);
  const map = `pins/maps-${LAYOUT_VERSION}`;
  const { stdout } = shell.run(
    `${BPF_PROBE_FUNCTIONS}\n${CUT_FUNCTION}\n${HAND_OVER_FUNCTIONS}\nT=${shell.folder} BPF=${shell.folder}/pins; mkdir -p ${shell.folder}/${map}; : > ${shell.folder}/${map}/egw_flows; : > ${shell.folder}/${map}/egw_peers; egw_paths > $T/given-paths; egw_carried`,
  );
  shell.remove();
  return stdout.trim();
}

const PEERS = "key: c0 a8 00 65  value: 66 26 00 00 00 65 00 00\n";
const NAME = "-p tcp -s 10.0.1.11 -d 203.0.113.9 --sport 40000 --dport 443";

test("what goes to the stack gets the mark of its gateway node, and how far it has ended", () => {
  // 0x65 = 1 * 64 + 37
  const mark = 0x26000000 + 0x10000 + 37 * 0x100;
  const back = "-r 203.0.113.9 -q 10.0.1.11 --reply-port-src 443 --reply-port-dst 40000";
  const [, name, put] = carried(PEERS).split("|");
  expect(name).toBe(NAME);
  expect(put).toMatch(
    new RegExp(`^-I +${NAME} ${back} --state ESTABLISHED -t 43[12]\\d{3} -u ASSURED,SEEN_REPLY -m ${mark}$`),
  );
  expect(carried(PEERS, { state: 6 })).toMatch(/ --state TIME_WAIT -t 1[12]\d /);
});

test("without a known gateway node nothing is put in: it would leave as it is", () => {
  expect(carried("").split("|").slice(1)).toEqual([NAME, ""]);
});

test("what only begins goes on with the answer to its first packet or with what follows that, but what the stack alone carries stays as it is", () => {
  expect(carried(PEERS, { ifindex: OPENING + 5 })).toMatch(/ --state SYN_RECV -t 60 -u SEEN_REPLY -m \d+$/);
  expect(carried(PEERS, { ifindex: 0 }, "gateway=192.168.0.101").split("|").slice(1)).toEqual(["", ""]);
});
