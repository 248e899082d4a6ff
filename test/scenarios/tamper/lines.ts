import { CHAINS, GUARD_IGNORE, IGNORE } from "../../../provider/compile/names";
import type { ChainRule } from "../../../provider/kernel/iptables";
import type { Owned } from "../../../provider/kernel/state";
import { type Told, type ToldObject, those } from "./tamper";

/**
 * A part of a line of defence: as long as one of a line's parts stands, it holds.
 * A rule stands with its sets and with all that leads to its chain; without a rule it is the node's paths.
 */
export interface Part {
  readonly line: string;
  readonly index: number;
  /** How many parts the line has. */
  readonly of: number;
  readonly rule?: ChainRule;
}

type State = readonly Owned[];

/** The parts that one node has of the lines of a fleet with these gateways. */
export function partsOf(node: string, gateways: readonly string[], state: State): Part[] {
  const within = (chain: string, rule: RegExp) =>
    those({ state }, "chain-rule", (o) => o.chain === chain && rule.test(o.rule)).map(({ object }) => object);
  const line = (name: string, ...parts: readonly (ChainRule | undefined | "paths")[]): Part[] =>
    parts.flatMap((rule, index): Part[] =>
      rule === undefined
        ? []
        : [{ line: `${node}: ${name}`, index, of: parts.length, ...(rule === "paths" ? {} : { rule }) }],
    );
  const pairs = (name: string, first: readonly ChainRule[], second: readonly ChainRule[]): Part[] =>
    first.flatMap((one) => {
      const other = second.find(({ rule }) => commentOf(rule) === commentOf(one.rule));
      return other ? line(`${name} ${commentOf(one.rule)}`, one, other) : [];
    });
  const [restore] = within(CHAINS.markRequest, /ORIGINAL .*--restore-mark/);
  const [save] = within(CHAINS.choose, SAVES);
  const [unkept] = within(CHAINS.resetMark, /^-o .* -j DROP$/);
  const [marked] = within(CHAINS.resetMark, /^! -o \S+ -m mark .* -j DROP$/);
  const [chosen] = within(CHAINS.resetMark, CHOSEN);
  const [again] = within(CHAINS.keepMark, CHOSEN);
  const [encapsulated] = within(CHAINS.noSnat, /^-m mark --mark \S+ -j ACCEPT$/);
  const [refused] = within(CHAINS.admit, /^-j DROP$/);
  const [refusedAgain] = within(CHAINS.admitGuard, /^-j DROP$/);
  return [
    ...pairs("choice", within(CHAINS.choose, /-j MARK/), within(CHAINS.guard, /-j DROP/)),
    ...pairs("translation", within(CHAINS.snat, /-j SNAT/), within(CHAINS.snatBackup, /-j SNAT/)),
    ...line("path", "paths", marked, chosen, again),
    ...line("mark", restore, chosen, again),
    ...line("connmark", save, unkept),
    ...gateways.flatMap((gateway): Part[] =>
      gateway === node || !encapsulated
        ? []
        : [{ line: `untranslated to ${gateway}`, index: 0, of: 3, rule: encapsulated }],
    ),
    ...[refused, refusedAgain].flatMap((rule, i): Part[] =>
      rule && gateways.includes(node) ? [{ line: `untranslated to ${node}`, index: i + 1, of: 3, rule }] : [],
    ),
  ];
}

const ENDS = / -j (RETURN|ACCEPT)$/;
const SAVES = /--save-mark/;
const CHOSEN = /^! -o \S+ -m conntrack --ctdir ORIGINAL .* -j DROP$/;
const commentOf = (rule: string): string => /--comment (\S+)/.exec(rule)?.[1] ?? "";

/** Whether a part is gone where this is told. */
export function isTaken({ rule }: Part, told: readonly Told[], state: State): boolean {
  const objects = told.filter((one): one is ToldObject => "object" in one);
  return objects.some((one) => (rule ? breaksRule(one, rule, state) : breaksPaths(one)));
}

const breaksPaths = ({ object: { kind } }: ToldObject): boolean => kind === "route" || kind === "ip-rule";

function breaksRule({ difference, object, actual }: ToldObject, rule: ChainRule, state: State): boolean {
  const way = wayTo(rule, state);
  const isOnWay = (table: string, target: string): boolean =>
    way.some((one) => one.table === table && one.chain === target);
  const isStep = (o: ChainRule): boolean =>
    sameRule(o, rule) ||
    (isOnWay(o.table, o.chain) && way.some(({ table, chain }) => table === o.table && leadsTo(o.rule, chain)));
  switch (object.kind) {
    case "chain-rule":
      if (difference === "extra") return object.rule === "-j RETURN" && isOnWay(object.table, object.chain);
      if (actual?.kind !== "chain-rule") return isStep(object);
      // Moved: behind what ends the chain, or the mark is saved before it is set.
      return (isStep(object) && ENDS.test(actual.rule)) || (sameRule(actual, rule) && SAVES.test(rule.rule));
    case "hook":
      return (
        difference === "missing" && way.some((one) => one.table === object.table && leadsTo(object.rule, one.chain))
      );
    case "ipset-member":
      if (difference !== "extra") return names(rule, object.set);
      if (object.set !== IGNORE && object.set !== GUARD_IGNORE) return object.nomatch && names(rule, object.set);
      return those({ state }, "chain-rule", (o) => isOnWay(o.table, o.chain) && o.rule.endsWith("-j RETURN")).some(
        ({ object: o }) => names(o, object.set),
      );
    default:
      return false;
  }
}

/** The chain of a rule, and those that a packet comes through to it. */
function wayTo(rule: ChainRule, state: State): ChainRule[] {
  const jumps = those({ state }, "chain-rule", (o) => o.table === rule.table && leadsTo(o.rule, rule.chain));
  return [rule, ...jumps.flatMap(({ object }) => wayTo(object, state))];
}

const sameRule = (a: ChainRule, b: ChainRule): boolean =>
  a.table === b.table && a.chain === b.chain && a.rule === b.rule;
const leadsTo = (rule: string, chain: string): boolean => new RegExp(`-[jg] ${chain}$`).test(rule);
const names = ({ rule }: ChainRule, set: string): boolean => rule.includes(`--match-set ${set} `);
