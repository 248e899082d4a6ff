import * as fs from "node:fs";
import * as path from "node:path";
import { dumpScript, writtenFilesScript } from "./dump-script";
import { execOk } from "./exec";
import { nodeDirectory } from "./lab-directory";
import { runOk } from "./run";
import type { Lab } from "./topology";

/** The sections of a dump, each a list of normalised lines. */
export type Dump = ReadonlyMap<string, readonly string[]>;

/**
 * The whole network state of a node as text: links, addresses, routes, rules, fixed neighbours, sets,
 * rules of every table, sysctls, files. Without what changes by itself: counters, timers, numbers of
 * links, learned neighbours, empty built-in chains.
 */
export async function labDump(lab: Lab, node: string): Promise<string> {
  return printDump(await readDump(lab, node));
}

export async function readDump(lab: Lab, node: string): Promise<Dump> {
  const upper = path.join(nodeDirectory(lab, node), "upper");
  const [inside, written] = await Promise.all([
    execOk(lab, node, ["sh", "-c", dumpScript]),
    runOk(["sh", "-c", writtenFilesScript, "sh", upper]),
  ]);
  const dump = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of inside.split("\n")) {
    if (line.startsWith("== ")) {
      lines = [];
      dump.set(line.slice(3), lines);
    } else if (line.trim() !== "") {
      lines.push(line);
    }
  }
  lines.push(...written.split("\n").filter((line) => line !== "" && !isMachineFolder(line)));
  return new Map([...dump].map(([section, raw]) => [section, normalise(section, raw)]));
}

/** A folder that the machine has too is written over as soon as a node writes something in it. */
function isMachineFolder(line: string): boolean {
  return line.startsWith("d ") && fs.existsSync(`/${line.slice(2)}`);
}

export function printDump(dump: Dump): string {
  return [...dump].map(([section, lines]) => [`== ${section}`, ...lines, ""].join("\n")).join("\n");
}

export function parseDump(text: string): Dump {
  const sections = text.split(/^== /m).slice(1);
  return new Map(
    sections.map((section) => {
      const [name = "", ...lines] = section.split("\n");
      return [name, lines.filter((line) => line !== "")];
    }),
  );
}

function normalise(section: string, lines: readonly string[]): string[] {
  switch (section) {
    case "iptables":
      return normaliseIptables(lines);
    case "ipset":
      return lines.map((line) => line.replace(/ (initval|hashsize|bucketsize|timeout) \S+/g, "")).sort();
    case "rules":
      return lines.map((line) => line.replace(/\s+/g, " ").trim());
    default:
      return [...new Set(lines.map(normaliseLine))].sort();
  }
}

/** Numbers of links, of their peers and of namespaces depend on the order of creation. */
function normaliseLine(line: string): string {
  return line
    .replace(/^\d+: /, "")
    .replace(/@\w+:/, ":")
    .replace(/ link-netnsid \d+/, "")
    .replace(
      / (promiscuity|allmulti|minmtu|maxmtu|numtxqueues|numrxqueues|[gt]r?so_max_\w+|gro_max_size|addrgenmode) \w+/g,
      "",
    )
    .replace(/ id \d+( name \S+)? tag \S+/, "")
    .replace(/\\\s*/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}

/** One line a rule, headed by its table; order within a chain kept, order of tables and chains not. */
function normaliseIptables(lines: readonly string[]): string[] {
  const chains = new Map<string, string[]>();
  let table = "";
  for (const line of lines) {
    if (line.startsWith("*")) table = line.slice(1);
    const declared = /^:(\S+) (\S+)/.exec(line);
    const rule = /^-A (\S+) /.exec(line);
    if (declared !== null && declared[2] !== "ACCEPT")
      chains.set(`${table} ${declared[1]}`, [`${table} :${declared[1]} ${declared[2]}`]);
    if (rule !== null) {
      const key = `${table} ${rule[1]}`;
      chains.set(key, [...(chains.get(key) ?? []), `${table} ${line}`]);
    }
  }
  return [...chains].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, rules]) => rules);
}
