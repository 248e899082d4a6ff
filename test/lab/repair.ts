import type { Base } from "./base";
import type { SectionDiff } from "./dump-diff";

/** A shell script that takes a node back to its base, as far as that can be done without rebuilding it. Pure. */
export function repairScript(base: Base, diffs: readonly SectionDiff[]): string {
  const of = (section: string): SectionDiff | undefined => diffs.find((diff) => diff.section === section);
  return [
    ...repairIptables(base, of("iptables") ?? of("ipset")),
    ...(of("ipset") === undefined ? [] : ["ipset destroy"]),
    ...(of("rules") === undefined ? [] : repairRules(base)),
    ...repairLinks(of("links")),
    ...repairLines(of("addresses"), addressCommand),
    ...repairLines(of("neighbours"), neighbourCommand),
    ...repairLines(of("forwarding"), (verb, line) => `bridge fdb ${verb === "add" ? "append" : "del"} ${line}`),
    ...repairLines(of("routes"), routeCommand),
    ...repairFilters(of("filters")),
    ...repairSysctls(of("sysctls")),
    ...repairFiles(of("files")),
    "conntrack -F 2>/dev/null",
    "ip neigh flush all",
    "ip route flush cache",
    "",
  ].join("\n");
}

type Verb = "add" | "del";

/** Tables that the base doesn't have are emptied; the rest is written anew, counters and all. */
function repairIptables(base: Base, diff: SectionDiff | undefined): string[] {
  if (diff === undefined) return [];
  const builtin = {
    raw: "PREROUTING OUTPUT",
    mangle: "PREROUTING INPUT FORWARD OUTPUT POSTROUTING",
    security: "INPUT FORWARD OUTPUT",
  };
  const empty = Object.entries(builtin)
    .filter(
      ([table]) => diff.extra.some((line) => line.startsWith(`${table} `)) && !base.iptables.includes(`*${table}\n`),
    )
    .flatMap(([table, chains]) => [
      `*${table}`,
      ...chains.split(" ").map((chain) => `:${chain} ACCEPT [0:0]`),
      "COMMIT",
    ]);
  return ["iptables-restore <<'END-OF-RULES'", ...empty, base.iptables, "END-OF-RULES"];
}

/** The rule for table local (0) stays, whatever comes. */
function repairRules(base: Base): string[] {
  const rules = base.dump.get("rules") ?? [];
  const others = rules.map((line) => /^(\d+): (.*)$/.exec(line)).filter((match) => match !== null && match[1] !== "0");
  return [
    "ip rule flush",
    ...others.map((match) => `ip rule add pref ${match?.[1]} ${match?.[2]?.replace("lookup", "table")}`),
  ];
}

function repairLinks(diff: SectionDiff | undefined): string[] {
  const names = new Set(diff?.missing.map(linkName));
  const strange = new Set(diff?.extra.map(linkName).filter((name) => !names.has(name)));
  const mtu = (line: string): string => / mtu (\d+) /.exec(line)?.[1] ?? "1500";
  return [
    ...[...strange].map((name) => `ip link del dev '${name}'`),
    ...(diff?.missing.map((line) => `ip link set dev '${linkName(line)}' mtu ${mtu(line)} up`) ?? []),
  ];
}

function linkName(line: string): string {
  return line.split(":")[0] ?? "";
}

function repairLines(diff: SectionDiff | undefined, command: (verb: Verb, line: string) => string): string[] {
  return [
    ...(diff?.extra.map((line) => command("del", line)) ?? []),
    ...(diff?.missing.map((line) => command("add", line)) ?? []),
  ];
}

function addressCommand(verb: Verb, line: string): string {
  const [device, , address] = line.split(" ");
  return `ip addr ${verb} ${address} dev ${device}`;
}

function neighbourCommand(verb: Verb, line: string): string {
  const [, address, device, mac] = /^(\S+) dev (\S+)(?: lladdr (\S+))?/.exec(line) ?? [];
  if (verb === "del") return `ip neigh del ${line.includes(" proxy") ? "proxy " : ""}${address} dev ${device}`;
  return `ip neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`;
}

/** Addresses bring the routes of table local with them. Encap routes don't survive their own text: their table goes. */
function routeCommand(verb: Verb, line: string): string {
  const table = / table (\S+)/.exec(line)?.[1];
  if (table === "local") return ":";
  if (verb === "del" && table !== undefined) return `ip route flush table ${table}`;
  return `ip route ${verb === "add" ? "replace" : "del"} ${line.replace(/ (dead|linkdown)/g, "")}`;
}

/** With a hook all its filters go; of a hook that the base has, those that are new. */
function repairFilters(diff: SectionDiff | undefined): string[] {
  return (diff?.extra ?? []).map((line) => {
    const [word, device, , , protocol, , preference, kind, , , , handle] = line.split(" ");
    if (word === "clsact") return `tc qdisc del dev ${device} clsact`;
    return `tc filter del dev ${word} ${device} protocol ${protocol} prio ${preference} handle ${handle} ${kind}`;
  });
}

function repairSysctls(diff: SectionDiff | undefined): string[] {
  return (diff?.missing ?? []).map((line) => {
    const at = line.indexOf(":");
    return `echo '${line.slice(at + 1)}' >'/proc/sys/net/${line.slice(0, at)}'`;
  });
}

/** What is new goes, deepest first; a file whose content changed is beyond this, and shows in the check that follows. */
function repairFiles(diff: SectionDiff | undefined): string[] {
  const pathOf = (line: string): string =>
    line.replace(/^[0-9a-f]{64} \.\/|^[a-z] (?!\/)|^[a-z] \//, "/").replace(/^\/+/, "/");
  const before = new Set(diff?.missing.map(pathOf));
  const added = [...new Set(diff?.extra.map(pathOf).filter((file) => !before.has(file)))];
  return added
    .sort()
    .reverse()
    .map((file) => `rm -rf -- '${file.replaceAll("'", "'\\''")}'`);
}
