import { createHash } from "node:crypto";
import { RESTORE_PROGRAM } from "../../../provider/program/restore";
import { STATE_DIRECTORY } from "../../../provider/program/shell-probe";
import { Shell } from "./shell";

const SET = "create egw-gs-1234567890 hash:net\nadd egw-gs-1234567890 10.0.1.0/24\n";
/** What is saved of a kernel that shows nothing but the chain that closes. */
const SAVED: Readonly<Record<string, string>> = {
  "restore/ip": "",
  "restore/ipset": SET,
  "restore/iptables": "",
  "restore/sysctl": "",
};
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const CLOSED = `cat <<'END'
*mangle
:FORWARD ACCEPT [0:0]
:EGRESSGATEWAY-BOOT - [0:0]
-A FORWARD -s 10.9.9.9/32 -j RETURN
-A FORWARD -j EGRESSGATEWAY-BOOT
-A EGRESSGATEWAY-BOOT -j DROP
COMMIT
END`;
const EMPTY = ["link", "sysctl", "address", "neighbour", "route", "ip-rule", "iptables"].map((name) => `@@${name}\n`);
const DIGEST = `kernel=${sha256(EMPTY.join(""))} ipset=${sha256("@@ipset\n")}\n`;

const LOCK = "exec 8>$L.lock; flock -n 8";

let shell: Shell;
beforeEach(() => {
  shell = new Shell();
  shell.run("mkdir -p state/restore state/claims; touch state/claims/node-1.json");
  for (const tool of ["ip", "ipset", "arping"]) shell.tool(tool, "exit 0");
  // As iptables-legacy is: while one works on a table, none else gets at it.
  shell.tool(
    "iptables",
    `sleep 0.02; ${LOCK} || echo locked out >> $L; echo "iptables $*" >> $L; ! echo "$*" | grep -q -- -C`,
  );
  shell.tool("iptables-restore", `${LOCK}; grep BOOT >> $L; exit 0`);
  shell.tool("iptables-save", CLOSED);
  shell.write("state/generation", "1\n");
  const files = { ...SAVED, digest: DIGEST };
  for (const [name, text] of Object.entries(files)) shell.write(`state/${name}`, text);
  shell.write(
    "state/restore/sums",
    Object.entries(files)
      .map(([name, text]) => `${sha256(text)}  ${name}\n`)
      .join(""),
  );
});
afterEach(() => shell.remove());

/** Its exit code, and what forwarding is in the end. */
function boot(): { status: number | null; forwards: string | undefined } {
  const program = RESTORE_PROGRAM.replace(/^export PATH=\S*/m, "export")
    .replace(`D=${STATE_DIRECTORY}`, `D=${shell.folder}/state`)
    .replaceAll("/proc/sys", `${shell.folder}/sys`);
  const { status } = shell.run(program);
  const told = [
    ["everything", "-X EGRESSGATEWAY-BOOT"],
    ["nothing", "-A EGRESSGATEWAY-BOOT -j DROP"],
    ["nothing of the selected", "-A EGRESSGATEWAY-BOOT -m set --match-set egw-gs-1234567890 src -j DROP"],
  ] as const;
  const lines = shell.read("log").trim().split("\n");
  expect(lines).not.toContain("locked out");
  const last = lines.map((line) => told.find(([, rule]) => line.endsWith(rule))?.[0]).filter((one) => one);
  return { status, forwards: last.at(-1) };
}

test("a node whose kernel shows what was saved, but for the chain that closes, is opened", () => {
  expect(boot()).toEqual({ status: 0, forwards: "everything" });
  expect(shell.read("log")).toMatch(/^-A EGRESSGATEWAY-BOOT -j DROP$/m);
});

test("it is not opened for a moment where the kernel shows anything else", () => {
  shell.tool("iptables-save", CLOSED.replace("-j RETURN", "-j EGRESSGATEWAY-BOOT"));
  expect(boot()).toEqual({ status: 1, forwards: "nothing of the selected" });
  expect(shell.read("log")).not.toContain("-D FORWARD");
});

test.each(["digest", "restore/ip", "restore/iptables", "restore/sysctl"])(
  "where %s is not as saved the selected stay closed",
  (name) => {
    shell.run(`echo x >> state/${name}`);
    expect(boot()).toEqual({ status: 1, forwards: "nothing of the selected" });
  },
);

test.each([
  [": > state/restore/ipset"],
  ["rm state/restore/ipset"],
  ["sed -i /^add/d state/restore/ipset"],
  [": > state/restore/sums"],
  ["rm state/restore/sums"],
  ["cd state/restore; for f in *; do : > $f; done"],
  ["rm state/generation"],
  ["printf 'exit 1' > ipset; rm state/digest"],
])("where it isn't known what is selected nothing is forwarded: %s", (script) => {
  shell.run(script);
  expect(boot()).toEqual({ status: 1, forwards: "nothing" });
});

test("a node that has nothing of ours is left alone", () => {
  shell.run("rm -r state/generation state/claims");
  expect(boot()).toEqual({ status: 0, forwards: undefined });
});
