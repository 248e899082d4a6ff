import { contains, overlaps, parseNetwork } from "../model/address";
import type { NodeMarkArgs, Problem } from "../model/args";
import { normalizeFleet } from "../model/defaults";
import { CLASS_NODE, MASK_ROLE } from "../model/mark";
import type { HostFacts } from "./snapshot";

/** An ip rule of somebody else that leads to a way out, as `ip -N rule show` prints it. */
interface ForeignRule {
  readonly preference: number;
  readonly text: string;
  /** Words with a value: `from`, `to`, `fwmark`, `iif`, … */
  readonly words: ReadonlyMap<string, string>;
}

/**
 * Ip rules that stand before ours and would take packets that we marked out of the tunnel: the guards would drop these.
 * A rule that can't meet a forwarded packet with a mark of ours is left alone, as are those for the node's own traffic.
 */
export function rulesInFront(host: HostFacts, args: NodeMarkArgs): Problem[] {
  const { rulePreference, ignore } = normalizeFleet(args.fleet);
  const pods = args.fleet.ignore.pods;
  const taking = host.rules
    .flatMap(parseRule)
    .filter((rule) => rule.preference < rulePreference && takes(rule, pods, ignore));
  const [first] = taking.sort((a, b) => a.preference - b.preference);
  if (!first) return [];
  const way = first.preference > 1 ? `Set fleet.rulePreference below ${first.preference}` : "Move it behind ours";
  return [
    {
      path: "fleet.rulePreference",
      message: `node ${args.node}: ip rule "${first.preference}: ${first.text}" stands in front of ours at ${rulePreference} and would take marked packets out of the tunnel. ${way}, or narrow it to what is not selected.`,
    },
  ];
}

function parseRule(line: string): ForeignRule[] {
  const [, preference, text = ""] = /^(\d+):\s+(.*\S)\s*$/.exec(line) ?? [];
  if (preference === undefined) return [];
  const parts = text.split(/\s+/);
  return [{ preference: Number(preference), text, words: new Map(parts.map((word, i) => [word, parts[i + 1] ?? ""])) }];
}

const OWN_TRAFFIC = ["oif", "uidrange"];

function takes({ words }: ForeignRule, pods: readonly string[], ignore: readonly string[]): boolean {
  if (words.get("lookup") === "255" || words.has("suppress_prefixlength") || words.has("goto") || words.has("nop"))
    return false;
  if (words.get("iif") === "lo" || OWN_TRAFFIC.some((word) => words.has(word))) return false;
  // `not` turns the whole selector around: it takes what the words do not name.
  if (words.has("not")) return true;
  const mark = words.get("fwmark");
  if (mark !== undefined && !meetsMark(mark)) return false;
  const from = networkOf(words.get("from"));
  if (from !== undefined && !pods.some((network) => overlaps(network, from))) return false;
  const to = networkOf(words.get("to"));
  return to === undefined || !ignore.some((network) => contains(network, to)) || pods.some((all) => contains(to, all));
}

/** Whether a mark of ours can be one that `value/mask` means: the index is any, class and role are ours. */
function meetsMark(text: string): boolean {
  const [value = 0, mask = 0xffffffff] = text.split("/").map(Number);
  return ((value ^ CLASS_NODE) & mask & MASK_ROLE) === 0;
}

function networkOf(text: string | undefined): string | undefined {
  if (text === undefined || text === "all") return undefined;
  const cidr = text.includes("/") ? text : `${text}/32`;
  return parseNetwork(cidr) ? cidr : undefined;
}
