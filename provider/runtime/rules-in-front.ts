import { contains, overlaps, parseNetwork } from "../model/address";
import type { NodeMarkArgs, Problem } from "../model/args";
import { normalizeFleet } from "../model/defaults";
import { markOf } from "../model/mark";
import type { HostFacts } from "./host-facts";

/** An ip rule of somebody else that leads to a way out, as `ip -N rule show` prints it. */
interface ForeignRule {
  readonly preference: number;
  readonly text: string;
  /** Words with a value: `from`, `to`, `fwmark`, `iif`, … */
  readonly words: ReadonlyMap<string, string>;
}

/**
 * Ip rules that stand before ours and would take packets that we marked out of the tunnel: the guards would drop these.
 * `indexes` are the nodes of the fleet, whose marks packets here may bear. A rule that can't meet a forwarded packet
 * with one of these marks is left alone, as are those for the node's own traffic.
 */
export function rulesInFront(host: HostFacts, args: NodeMarkArgs, indexes: readonly number[]): Problem[] {
  const { rulePreference, ignore } = normalizeFleet(args.fleet);
  const { pods } = args.fleet.ignore;
  const taking = host.rules.flatMap(parseRule).filter((rule) => {
    // Of one preference the older one comes first.
    const isInFront = rule.preference <= rulePreference;
    const isOver = rule.words.has("goto") && Number(rule.words.get("goto")) <= rulePreference;
    return isInFront && !isOver && takes(rule, pods, ignore, indexes.map(markOf));
  });
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

/** Words of rules that are for the node's own traffic, for a device's, or for what has no default route. */
const APART = ["iif", "oif", "uidrange", "suppress_prefixlength", "nop", "[detached]"];

function takes(
  { words }: ForeignRule,
  pods: readonly string[],
  ignore: readonly string[],
  marks: readonly number[],
): boolean {
  if (words.get("lookup") === "255" || APART.some((word) => words.has(word))) return false;
  const from = networkOf(words.get("from"));
  const to = networkOf(words.get("to"));
  const isMet = marks.map((mark) => meets(words.get("fwmark"), mark));
  // `not` turns the whole selector around: it takes what the words do not name.
  if (words.has("not")) return from !== undefined || to !== undefined || isMet.includes(false);
  if (!isMet.includes(true)) return false;
  const isInside = (network: string): boolean => ignore.some((one) => contains(one, network));
  if (from !== undefined && isInside(from) && !pods.some((network) => overlaps(network, from))) return false;
  return to === undefined || !isInside(to) || pods.some((all) => contains(to, all));
}

/** Whether a rule for `value/mask`, or for any mark, is for this one. */
function meets(fwmark: string | undefined, mark: number): boolean {
  const [value = 0, mask = 0xffffffff] = fwmark?.split("/").map(Number) ?? [0, 0];
  return ((value ^ mark) & mask) === 0;
}

/** The network after `from` or `to`; undefined for `all`. */
const networkOf = (text = "all"): string | undefined => (parseNetwork(text) ? text : undefined);
