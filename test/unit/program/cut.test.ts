import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { Cut } from "../../../provider/compile/cuts";
import { contains } from "../../../provider/model/address";
import { MASK_ALL, markOf, ROLE_ANSWER } from "../../../provider/model/mark";
import { CUT_FUNCTION, cutLines } from "../../../provider/program/cut";

const MARK = markOf(7);
const all = { destinations: ["0.0.0.0/0"], except: [] };

/** A line of `conntrack -L`. */
function entry(
  proto: "tcp" | "udp" | "icmp",
  src: string,
  dst: string,
  port: number,
  mark: number,
  seenAs = "192.168.0.11",
): string {
  const ports = (a: number, b: number) => (proto === "icmp" ? `type=8 code=0 id=${port}` : `sport=${a} dport=${b}`);
  const state = proto === "tcp" ? " ESTABLISHED" : "";
  return `${proto} 6 86399${state} src=${src} dst=${dst} ${ports(port, 443)} src=${dst} dst=${seenAs} ${ports(443, port)} [ASSURED] mark=${mark} use=1`;
}

/** Runs the cut over a table of connections: what is remembered in the set, and each call of `conntrack -D`. */
function run(table: readonly string[], cuts: readonly Cut[]): { remembered: string[]; deletions: string[] } {
  const T = mkdtempSync(path.join(tmpdir(), "egw-cut-"));
  writeFileSync(path.join(T, "table"), `${table.join("\n")}\n`);
  const fakes = `
T=${T}; : > $T/remembered; : > $T/deletions
conntrack() { if [ "$1" = -L ]; then cat $T/table; else shift; echo "$@" >> $T/deletions; fi; }
ipset() { cat > $T/remembered; }`;
  writeFileSync(path.join(T, "cuts"), `${cuts.flatMap(cutLines).join("\n")}\n`);
  execFileSync("sh", ["-c", `${fakes}\n${CUT_FUNCTION}\negw_cut $T/cuts`]);
  const read = (file: string) =>
    readFileSync(path.join(T, file), "utf8")
      .split("\n")
      .filter((line) => line !== "");
  const result = { remembered: read("remembered"), deletions: read("deletions") };
  rmSync(T, { recursive: true });
  return result;
}

describe("cutting connections", () => {
  test("takes one call where the whole path goes, however many connections are on it", () => {
    const table = Array.from({ length: 2000 }, (_, i) =>
      entry("tcp", "10.0.1.11", `203.0.113.${i % 250}`, 10000 + i, MARK + 0x4000),
    );
    const { remembered, deletions } = run(
      [...table, entry("tcp", "10.0.1.11", "203.0.113.9", 5, 0)],
      [{ sources: ["10.0.1.0/24"], ...all, by: { kind: "mark", mark: MARK, mask: MASK_ALL } }],
    );
    expect(deletions).toEqual([`-m ${MARK}/${MASK_ALL}`]);
    expect(remembered).toHaveLength(2000);
    expect(remembered[0]).toBe("add egw-cut 10.0.1.11,tcp:10000,203.0.113.0 comment 443");
  });

  test("calls for a source, for both ends, or for one connection where others are among them", () => {
    const table = [
      entry("udp", "10.0.1.11", "203.0.113.1", 1, 0, "192.168.0.200"),
      entry("icmp", "10.0.1.11", "203.0.113.2", 2, 0, "192.168.0.200"),
      entry("tcp", "10.0.1.12", "203.0.113.1", 3, 0, "192.168.0.200"),
      entry("tcp", "10.0.1.12", "198.51.100.1", 4, 0, "192.168.0.200"),
      entry("tcp", "10.0.1.13", "203.0.113.1", 5, 0, "192.168.0.200"),
    ];
    const cut: Cut = {
      sources: ["10.0.1.11/32", "10.0.1.12/32"],
      destinations: ["0.0.0.0/0"],
      except: ["198.51.100.0/24"],
      by: { kind: "snat", address: "192.168.0.200" },
    };
    expect(run(table, [cut])).toEqual({
      remembered: ["add egw-cut 10.0.1.12,tcp:3,203.0.113.1 comment 443"],
      deletions: ["-q 192.168.0.200 -s 10.0.1.11", "-q 192.168.0.200 -s 10.0.1.12 -d 203.0.113.1/32"],
    });
  });

  test("by none of our paths leaves those on one alone", () => {
    const table = [
      entry("tcp", "10.0.1.11", "203.0.113.1", 1, 0),
      entry("tcp", "10.0.1.11", "203.0.113.1", 2, MARK),
      entry("icmp", "10.0.1.11", "203.0.113.1", 3, 0),
      entry("tcp", "10.0.1.12", "203.0.113.1", 4, 0),
      entry("tcp", "10.0.1.12", "203.0.113.1", 5, 0x7f000001),
      entry("tcp", "10.0.1.13", "203.0.113.1", 6, 0),
      // What programs carry is on a path of ours, for which there may be no cut here.
      `${entry("tcp", "10.0.1.11", "203.0.113.1", 7, 0).replace(/ use=.*/, "")} gateway=192.168.0.101 ifindex=5 bpf=egw_flows:00`,
    ];
    const cut: Cut = { sources: ["10.0.1.11/32", "10.0.1.12/32"], ...all, by: { kind: "other" } };
    expect(run(table, [cut])).toEqual({
      remembered: [
        "add egw-cut 10.0.1.11,tcp:1,203.0.113.1 comment 443",
        "add egw-cut 10.0.1.12,tcp:4,203.0.113.1 comment 443",
        "add egw-cut 10.0.1.12,tcp:5,203.0.113.1 comment 443",
      ],
      deletions: [
        "-m 0/4278190080 -s 10.0.1.11",
        "-m 0/4278190080 -s 10.0.1.12",
        "-s 10.0.1.12 -d 203.0.113.1 -p tcp --sport 5 --dport 443",
      ],
    });
  });

  test("asks for the fewest networks around what goes that hold nothing that stays", () => {
    const outside = Array.from({ length: 200 }, (_, i) =>
      entry("tcp", "10.0.1.11", `198.51.${100 + (i % 4)}.${i}`, i, 0),
    );
    const table = [
      ...outside,
      entry("tcp", "10.0.1.11", "10.96.0.1", 500, 0),
      entry("tcp", "10.0.1.11", "198.51.101.2", 501, 0),
    ];
    const except = ["10.0.0.0/8", "198.51.101.2/32"];
    const cut: Cut = { sources: ["10.0.1.11/32"], destinations: ["0.0.0.0/0"], except, by: { kind: "other" } };
    const { remembered, deletions } = run(table, [cut]);
    expect(remembered).toHaveLength(200);
    const networks = deletions.map((line) => line.replace("-m 0/4278190080 -s 10.0.1.11 -d ", ""));
    expect(networks.length).toBeLessThan(12);
    expect(
      outside.every((line) => networks.some((network) => contains(network, `${/ dst=(\S+)/.exec(line)?.[1]}/32`))),
    ).toBe(true);
    for (const kept of ["10.96.0.1/32", "198.51.101.2/32"])
      expect(networks.some((network) => contains(network, kept))).toBe(false);
  });

  test("spares what is to stay", () => {
    const table = [
      entry("tcp", "10.0.1.11", "203.0.113.1", 1, MARK),
      entry("tcp", "10.0.1.11", "203.0.114.1", 2, MARK),
      entry("tcp", "10.0.1.12", "203.0.113.1", 3, MARK),
    ];
    const spare = { sources: ["10.0.1.11/32"], destinations: ["203.0.112.0/22"], except: ["203.0.114.0/24"] };
    const cut: Cut = {
      sources: ["10.0.1.0/24"],
      ...all,
      by: { kind: "mark", mark: MARK, mask: MASK_ALL },
      spare: [spare],
    };
    expect(run(table, [cut]).remembered).toEqual([
      "add egw-cut 10.0.1.11,tcp:2,203.0.114.1 comment 443",
      "add egw-cut 10.0.1.12,tcp:3,203.0.113.1 comment 443",
    ]);
  });

  test("remembers the port of those that are open and begin on this node", () => {
    const table = [
      entry("tcp", "10.0.1.11", "203.0.113.1", 1, MARK),
      entry("tcp", "10.0.1.11", "203.0.113.1", 2, MARK).replace("ESTABLISHED", "TIME_WAIT"),
      entry("tcp", "10.0.2.11", "203.0.113.1", 3, MARK + ROLE_ANSWER, "192.168.0.200"),
    ];
    const by = [
      { kind: "mark", mark: MARK, mask: MASK_ALL } as const,
      { kind: "snat", address: "192.168.0.200" } as const,
    ];
    const cuts = by.map((one): Cut => ({ sources: ["10.0.0.0/16"], ...all, by: one }));
    expect(run(table, cuts).remembered).toEqual([
      "add egw-cut 10.0.1.11,tcp:1,203.0.113.1 comment 443",
      "add egw-cut 10.0.1.11,tcp:2,203.0.113.1",
      "add egw-cut 10.0.2.11,tcp:3,203.0.113.1",
    ]);
  });

  test("remembers the SYN of one that just opens where it would open by another source", () => {
    const opening = entry("tcp", "10.0.1.11", "203.0.113.1", 1, MARK).replace("ESTABLISHED", "SYN_SENT");
    const cut: Cut = { sources: ["10.0.1.0/24"], ...all, by: { kind: "mark", mark: MARK, mask: MASK_ALL } };
    const member = "add egw-cut 10.0.1.11,tcp:1,203.0.113.1";
    const syn = "add egw-cut-opening 10.0.1.11,tcp:1,203.0.113.1 comment 443";
    expect(run([opening], [{ ...cut, anew: [] }]).remembered).toEqual([member, syn]);
    expect(run([opening], [{ ...cut, anew: [{ sources: ["10.0.1.11/32"], ...all }] }]).remembered).toEqual([member]);
    expect(run([opening], [cut]).remembered).toEqual([member]);
  });

  test("remembers flows without connections for a while, but for those that begin anew with the same source", () => {
    const table = [
      entry("udp", "10.0.1.11", "203.0.113.1", 1, MARK),
      entry("udp", "10.0.1.11", "203.0.114.1", 2, MARK),
      entry("udp", "10.0.1.12", "203.0.113.1", 3, MARK),
      entry("icmp", "10.0.1.12", "203.0.113.1", 4, MARK),
      entry("icmp", "10.0.1.11", "203.0.113.1", 5, MARK),
    ];
    const selected: Cut = { sources: ["10.0.1.0/24"], ...all, by: { kind: "mark", mark: MARK, mask: MASK_ALL } };
    const anew = [
      { sources: ["10.0.9.0/24"], ...all },
      { sources: ["10.0.1.11/32"], destinations: ["203.0.112.0/22"], except: ["203.0.114.0/24"] },
    ];
    expect(run(table, [selected]).remembered).toEqual([]);
    expect(run(table, [{ ...selected, anew }])).toEqual({
      remembered: [
        "add egw-cut 10.0.1.11,udp:2,203.0.114.1 timeout 120",
        "add egw-cut 10.0.1.12,udp:3,203.0.113.1 timeout 120",
        "add egw-cut 10.0.1.12,icmp:8/0,203.0.113.1 timeout 30",
      ],
      deletions: [`-m ${MARK}/${MASK_ALL}`],
    });
  });

  test("buries those that have not spoken since", () => {
    const saved = [
      "create egw-cut hash:ip,port,ip family inet hashsize 1024 maxelem 1048576 timeout 432000 counters comment initval 0x1",
      'add egw-cut 10.0.1.11,tcp:1,203.0.113.1 timeout 431990 packets 0 bytes 0 comment "443"',
      'add egw-cut 10.0.1.11,tcp:2,203.0.113.1 timeout 431990 packets 1 bytes 60 comment "443"',
      "add egw-cut 10.0.1.11,tcp:3,203.0.113.1 timeout 431990 packets 0 bytes 0",
      'add egw-cut-opening 10.0.1.11,tcp:4,203.0.113.1 timeout 129 packets 0 bytes 0 comment "443"',
    ];
    const grave = (sport: number, timeout: number) =>
      `-I -p tcp -s 10.0.1.11 --sport ${sport} -d 203.0.113.1 --dport 443 --dst-nat 192.168.0.11:1 --state ESTABLISHED -u ASSURED -t ${timeout}`;
    const wanted = [grave(1, 431990), grave(4, 129)].join("\n");
    for (const batch of ["cat $2", "[ $1 != -R ] && echo $@"]) {
      const script = `T=$(mktemp -d)\nipset() { grep " $2 " <<'END'\n${saved.join("\n")}\nEND\n}\nconntrack() { ${batch} >> $T/out; }\n${CUT_FUNCTION}\negw_bury 192.168.0.11\ncat $T/out; rm -r $T`;
      expect(execFileSync("sh", ["-c", script], { encoding: "utf8" }).trim()).toBe(wanted);
    }
  });

  test("reads every form in which conntrack prints a connection, and asks in words that it takes", () => {
    const table = [
      "unknown  50 999 src=10.0.1.11 dst=203.0.113.10 [UNREPLIED] src=203.0.113.10 dst=10.0.1.11 mark=2130706433 use=1",
      "gre      47 999 src=10.0.1.11 dst=203.0.113.10 srckey=0x1 dstkey=0x2 [UNREPLIED] src=203.0.113.10 dst=10.0.1.11 srckey=0x2 dstkey=0x1 mark=2130706433 use=1",
      "icmp     1 999 src=10.0.1.11 dst=203.0.113.10 type=8 code=0 id=77 [UNREPLIED] src=203.0.113.10 dst=10.0.1.11 type=0 code=0 id=77 mark=2130706433 use=1",
      "udp      17 999 src=10.0.1.11 dst=203.0.113.10 sport=40000 dport=53 [UNREPLIED] src=203.0.113.10 dst=10.0.1.11 sport=53 dport=40000 mark=2130706433 use=1",
      "tcp      6 999 ESTABLISHED src=10.0.1.11 dst=203.0.113.10 sport=40000 dport=443 src=203.0.113.10 dst=192.168.0.11 sport=443 dport=40000 [ASSURED] mark=2130706433 use=1",
    ];
    const others = table.map((line) => line.replace("dst=203.0.113.10", "dst=203.0.113.99"));
    const cut: Cut = {
      sources: ["10.0.1.11/32"],
      destinations: ["203.0.113.10/32"],
      except: [],
      by: { kind: "other" },
    };
    const { remembered, deletions } = run([...table, ...others], [cut]);
    expect(remembered).toEqual(["add egw-cut 10.0.1.11,tcp:40000,203.0.113.10 comment 443"]);
    const ports = "--sport 40000 --dport";
    expect(deletions.map((line) => line.trim()).sort()).toEqual(
      ["50", "gre", "icmp --icmp-id 77", `tcp ${ports} 443`, `udp ${ports} 53`].map(
        (words) => `-s 10.0.1.11 -d 203.0.113.10 -p ${words}`,
      ),
    );
  });

  test("finds nothing in an empty table", () => {
    expect(run([], [{ sources: ["10.0.0.0/8"], ...all, by: { kind: "other" } }])).toEqual({
      remembered: [],
      deletions: [],
    });
  });
});
