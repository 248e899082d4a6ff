import { applyScript, type Batch } from "../../../provider/program/apply";
import { parseSections } from "../../../provider/program/frame";
import { STATE_DIRECTORY } from "../../../provider/program/shell-probe";
import type { Step } from "../../../provider/reconcile/step";
import { EMPTY_BATCH } from "./empty-batch";
import { Shell } from "./shell";

const STEPS: readonly Step[] = [
  { tool: "ip", input: ["add 1", "add 2"], undo: ["del 2", "del 1"] },
  { tool: "ipset", input: ["create a", "add a"], undo: ["flush a", "destroy a"] },
  { tool: "iptables", input: ["*mangle", "new", "COMMIT"], undo: ["*mangle", "old", "COMMIT"] },
  { tool: "arping", input: ["eth0 192.0.2.1"], undo: [] },
  { tool: "iptables", input: ["*nat", "new", "COMMIT"], undo: ["*nat", "old", "COMMIT"] },
  { tool: "ip", input: ["add 3"], undo: ["del 3"] },
];

/** What others have done to a node: a route or rule of theirs, tools that it has not, a disk that they fill. */
interface Others {
  readonly route?: string;
  readonly rule?: string;
  readonly tools?: readonly string[];
  readonly fill?: string;
}

/** Every tool writes down what it is asked to do, and fails where its input has a word that `failing` names. */
function run(
  batch: Partial<Batch>,
  failing = "never",
  leftovers = "",
  conntrack = "exit 0",
  others: Others = {},
): { sections: Map<string, string>; log: string[]; state: string; stdout: string; stderr: string } {
  const shell = new Shell(others.tools);
  const record = (name: string, more = ":"): string =>
    `cat > in.$$; { echo "${name} $*"; sed 's/^/  /' in.$$; ${more}; } >> $L; grep -q "${failing}" in.$$ && { echo "${name}: ${failing} refused" >&2; exit 1; }; exit 0`;
  shell.run("mkdir -p conf/eth0; echo 0 > conf/eth0/promote_secondaries");
  const promoted = "grep -q 'addr del' in.$$ && echo promote_secondaries of eth0 $(cat conf/eth0/promote_secondaries)";
  const prints = leftovers === "" ? "exit 0" : `[ -f $L ] && grep -q "del 1" $L && echo '${leftovers}'; exit 0`;
  shell.tool(
    "ip",
    `case "$*" in *-batch*) ${record("ip", promoted)} ;; "-d -o link"*) ${prints} ;; *"route show table all") echo '${others.route ?? ""}' ;; *"rule show") echo '${others.rule ?? ""}' ;; esac`,
  );
  shell.tool("ipset", `case "$1" in save|list) exit 0 ;; esac; ${record("ipset")}`);
  shell.tool("iptables-restore", record("iptables-restore"));
  shell.tool("iptables-save", "exit 0");
  shell.tool("conntrack", conntrack);
  if (others.fill !== undefined) shell.tool("cat", catOnFullDisk(others.fill));
  shell.tool(
    "arping",
    `echo "arping $*" >> $L; [ "${failing}" = taken ] && { echo 'Unicast reply from 192.0.2.1 [02:00:00:00:00:99]'; exit 1; }; exit 0`,
  );
  const script = applyScript({
    ...EMPTY_BATCH,
    steps: STEPS,
    claims: { write: { "node-1": '{"kind":"node"}' }, remove: [] },
    ...batch,
  })
    .replaceAll(STATE_DIRECTORY, `${shell.folder}/state`)
    .replaceAll("/proc/sys/net/ipv4/conf/$d", `${shell.folder}/conf/$d`);
  const { stdout, stderr } = shell.run(script);
  const state = shell
    .run("cd state 2>/dev/null && /usr/bin/find . -type f | sort | /usr/bin/tr '\\n' ' '")
    .stdout.trim();
  const log = shell
    .read("log")
    .split("\n")
    .filter((line) => line !== "" && line !== "arping -V");
  shell.remove();
  return { sections: new Map(parseSections(stdout)), log, state, stdout, stderr };
}

/** Finds no room in a batch's folder for the file of this name, or, as `rest`, for any while the reserve is held. */
const catOnFullDisk = (name: string): string => `f=$(readlink /proc/$$/fd/1)
case "$f" in */${name}) f= ;; */state/batch/*) [ "${name}" = rest ] && [ -f "\${f%/*}/reserve" ] && f= ;; esac
[ -n "$f" ] || { /bin/cat > /dev/null; exit 1; }
exec /bin/cat "$@"`;

const CONNECTION =
  "tcp 6 99 ESTABLISHED src=10.0.1.11 dst=203.0.113.9 sport=5 dport=443 src=203.0.113.9 dst=192.0.2.1 sport=443 dport=5 [ASSURED] mark=0 use=1";
const EVERYTHING = { sources: ["0.0.0.0/0"], destinations: ["0.0.0.0/0"], except: [] };
const cuts = [{ ...EVERYTHING, by: { kind: "snat" as const, address: "192.0.2.1" } }];
const told = (text: string) => `{ echo "${text}" >&2; exit 1; }`;

test("a batch runs its steps in order, then remembers", () => {
  const { sections, log, state } = run({});
  expect([...sections.keys()]).toEqual(expect.arrayContaining(["applied", "link", "claims", "facts", "end"]));
  expect(log.filter((line) => !line.startsWith("  "))).toEqual([
    "ip -batch -",
    "ipset -exist restore",
    expect.stringMatching(/^iptables-restore .*--noflush$/),
    expect.stringMatching(/^arping -D .* -I eth0 192\.0\.2\.1$/),
    expect.stringMatching(/^iptables-restore .*--noflush$/),
    "ip -batch -",
  ]);
  expect(sections.get("generation")).toBe("1\n");
  expect(state).toContain("./claims/node-1.json");
});

test.each<[string, string, string[]]>([
  ["the first line", "add 1", ["del 2", "del 1"]],
  ["a line of ipset", "add a", ["flush a", "destroy a", "del 2", "del 1"]],
  [
    "the last step",
    "add 3",
    ["del 3", "*nat", "old", "COMMIT", "*mangle", "old", "COMMIT", "flush a", "destroy a", "del 2", "del 1"],
  ],
])("where %s fails, what was done is undone backwards and nothing is remembered", (_, failing, undone) => {
  const { sections, log, state } = run({}, `^${failing}$`);
  expect([...sections.keys()]).toEqual(["failed", "rolled-back", "end"]);
  const failed = log.indexOf(`  ${failing}`);
  const inputs = log.slice(failed + 1).filter((line) => line.startsWith("  "));
  const after = inputs.slice(inputs.indexOf(`  ${undone[0]}`));
  expect(after.map((line) => line.trim())).toEqual(undone);
  expect(log.slice(failed)).toEqual(expect.arrayContaining([undone.includes("del 1") ? "ip -force -batch -" : ""]));
  expect(state).toBe("");
});

test("a disk that others fill while a batch runs takes none of its steps away", () => {
  const { sections, log } = run({ cuts }, "never", "", "exit 0", { fill: "rest" });
  expect(sections.has("applied")).toBe(true);
  expect(log.filter((line) => line.startsWith("  add"))).toEqual(["  add 1", "  add 2", "  add a", "  add 3"]);
});

test("nor its undo", () => {
  const { sections, log } = run({}, "^add 3$", "", "exit 0", { fill: "rest" });
  expect([...sections.keys()]).toEqual(["failed", "rolled-back", "end"]);
  expect(log.slice(-2)).toEqual(["  del 2", "  del 1"]);
});

test("where there is no room for the node as it was, no step is begun", () => {
  const { stdout, log, state } = run({}, "never", "", "exit 0", { fill: "before" });
  expect(stdout).toMatch(/^@@no-space .*\/state\n$/);
  expect({ log, state }).toEqual({ log: [], state: "" });
});

test.each(["addr del 192.0.2.1/32 dev eth0", "addr del 192.0.2.1 peer 192.0.2.9/26 dev eth0"])(
  "while a batch has %s, the kernel keeps the device's other addresses",
  (line) => {
    const { log } = run({ steps: [{ tool: "ip", input: [line], undo: [] }] });
    expect(log).toEqual(["ip -batch -", `  ${line}`, "promote_secondaries of eth0 1"]);
  },
);

test("a table that was refused is not undone, since nothing of it was done", () => {
  const { sections, log } = run({}, "^\\*nat$");
  expect(sections.get("failed")).toMatch(/^4 iptables\n.*refused/);
  expect(log.filter((line) => line === "  *nat")).toHaveLength(1);
  expect(log.filter((line) => line === "  *mangle")).toHaveLength(2);
});

test("an address that is taken is told with the one who has it", () => {
  const { sections } = run({}, "taken");
  expect(sections.get("failed")?.trim()).toBe("3 arping\naddress 192.0.2.1 is already used by 02:00:00:00:00:99");
  expect(sections.has("rolled-back")).toBe(true);
});

test("what a tool says at great length is cut short, and no word of it is taken for an answer", () => {
  const { sections } = run(
    { cuts },
    "never",
    "",
    `[ $1 = -L ] && { head -c 9000 /dev/zero | tr '\\0' x >&2; exit 1; }; exit 0`,
  );
  expect([...sections.keys()]).toEqual(["failed", "rolled-back", "end"]);
  expect(sections.get("failed")?.length).toBeLessThan(4100);
});

test("what undo could not bring back is printed, and only that", () => {
  const { sections } = run({}, "^add 3$", "9: egw.vxlan: left over");
  expect(sections.has("rolled-back")).toBe(false);
  expect(sections.get("not-rolled-back")).toBe("extra  0: egw.vxlan: left over\n");
});

/** Beside the fakes; README says what a node needs. */
const ON_A_NODE = [
  ...["sh", "awk", "grep", "sed", "flock"],
  ...["cat", "cut", "head", "mkdir", "mktemp", "mv", "rm", "rmdir", "sha256sum", "sort", "tail", "timeout", "touch"],
  "uname",
];

test("a node needs no tool but those that it is asked for: what is applied, undone or left over is told", () => {
  const on = (failing: string, leftovers = "") => {
    const { sections, stderr } = run({ cuts }, failing, leftovers, "exit 0", { tools: ON_A_NODE });
    return { sections, stderr };
  };
  const applied = on("never");
  expect([applied.sections.has("applied"), applied.stderr]).toEqual([true, ""]);
  const undone = on("^add 3$");
  expect([[...undone.sections.keys()], undone.stderr]).toEqual([["failed", "rolled-back", "end"], ""]);
  const left = on("^add 3$", "9: egw.vxlan: left over");
  expect([left.sections.get("not-rolled-back"), left.stderr]).toEqual(["extra  0: egw.vxlan: left over\n", ""]);
});

test.each([
  ["can't be listed", `[ $1 = -L ] && ${told("no table")}`, "never", "no table"],
  ["can't be remembered", `[ $1 = -L ] && echo "${CONNECTION}"`, "^add egw-cut", "ipset: ^add egw-cut refused"],
  ["can't be ended", `[ $1 = -L ] && echo "${CONNECTION}"; [ $1 = -D ] && ${told("no leave")}`, "never", "no leave"],
])("where open connections %s, the batch is undone", (_, conntrack, failing, why) => {
  const { sections, log, state } = run({ cuts }, failing, "", `${conntrack}; exit 0`);
  expect([...sections.keys()]).toEqual(["failed", "rolled-back", "end"]);
  expect(sections.get("failed")?.trim()).toBe(`6 conntrack\n${why}`);
  expect(log.slice(-2).map((line) => line.trim())).toEqual(["del 2", "del 1"]);
  expect(log.some((line) => line.includes("del egw-cut 10.0.1.11,tcp:5,203.0.113.9"))).toBe(
    !why.startsWith("no table"),
  );
  expect(state).toBe("");
});

test("where a connection ends by itself while others are ended, these are ended all the same", () => {
  const gone = told("conntrack v1.4.7 (conntrack-tools): Operation failed: such conntrack doesn't exist");
  const once = `[ $1 = -D ] && { echo "$*" >> $L; [ $(grep -c "^-D" $L) -lt 3 ] && ${gone}; }`;
  const { sections, log } = run({ cuts }, "never", "", `[ $1 = -L ] && echo "${CONNECTION}"; ${once}; exit 0`);
  expect(sections.has("applied")).toBe(true);
  expect(log.filter((line) => line.startsWith("-D"))).toHaveLength(3);
});

test("a connection that has ended by itself meanwhile is no failure", () => {
  const none = told("conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.");
  const { sections } = run(
    { cuts },
    "never",
    "",
    `[ $1 = -L ] && echo "${CONNECTION}"; [ $1 = -D ] && ${none}; exit 0`,
  );
  expect(sections.has("applied")).toBe(true);
});

test("a node that another run has changed meanwhile is left alone", () => {
  const { sections, log } = run({ expectedGeneration: 3 });
  expect([...sections.keys()]).toEqual(["stale"]);
  expect(log).toEqual([]);
});

test.each([
  ["a route of others", { route: "203.0.113.0/24 via 192.168.0.1 dev eth0 table 3002 " }],
  ["an unreachable route of others", { route: "7 default table 3002 metric 9 " }],
  ["an ip rule of others", { rule: "100:\tfrom 10.9.0.0/16 lookup 3002 " }],
])("%s in a table that it takes for a leg: the node is left alone", (_, others) => {
  const { sections, log, state } = run({ newTables: [3001, 3002] }, "never", "", "exit 0", others);
  expect([...sections.keys()]).toEqual(["stale"]);
  expect({ log, state }).toEqual({ log: [], state: "" });
});

test.each([
  ["a route of ours", { route: "7 default table 3002 proto 38 metric 4096 " }],
  ["an ip rule of ours", { rule: "5000:\tfrom all fwmark 0x26012500/0xffff3f00 lookup 3002 proto 38" }],
  ["a route in another table", { route: "203.0.113.0/24 via 192.168.0.1 dev eth0 table 30021 " }],
])("%s doesn't stand in the way of a new leg", (_, others) => {
  expect(run({ newTables: [3001, 3002] }, "never", "", "exit 0", others).sections.has("applied")).toBe(true);
});

test("after the last batch of a node nothing of it is left", () => {
  const { sections, state } = run({ node: undefined, claims: { write: {}, remove: ["node-1"] } });
  expect(sections.has("applied")).toBe(true);
  expect(state).toBe("");
});
