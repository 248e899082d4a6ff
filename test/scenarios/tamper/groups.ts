import type { Random } from "../random";
import type { Case } from ".";

/** Resource → what a preview says of it when all of this was done. */
export function toldOf(cases: readonly Case[]): Record<string, string[]> {
  const told = new Map<string, Set<string>>();
  for (const { node, told: lines } of cases) {
    for (const { owner, line } of lines) told.set(owner, (told.get(owner) ?? new Set()).add(`${node} ${line}`));
  }
  return Object.fromEntries([...told].map(([owner, lines]): [string, string[]] => [owner, [...lines].sort()]).sort());
}

/** Of cases that differ in numbers only (a policy's hash, a peer's address), and of the rules of a chain, one of each role. */
export function oneOfEach(cases: readonly Case[], random: Random): Case[] {
  const shapes = new Map<string, Case[]>();
  for (const one of cases) shapes.set(shapeOf(one), [...(shapes.get(shapeOf(one)) ?? []), one]);
  return [...shapes.values()].map((alike) => random.pick(alike));
}

function shapeOf({ role, how, kind, what }: Case): string {
  const [table, chain] = what.split(" ");
  const name = kind === "chain-rule" ? `${table} ${chain}${what.endsWith(" twice") ? " twice" : ""}` : what;
  return `${role} ${how} ${kind} ${name.replace(/-[0-9a-f]{10}\b/g, "-#").replace(/(0x)?[0-9a-f:.]*\d[0-9a-f:.]*/g, "#")}`;
}

/** Random groups of three that can be done at once. */
export function together(cases: readonly Case[], random: Random, count: number): Case[][] {
  const groups: Case[][] = [];
  while (groups.length < count) {
    const group = [random.pick(cases), random.pick(cases), random.pick(cases)];
    if (areAllowed(group)) groups.push(group);
  }
  return groups;
}

/** All of these in as few groups of three as it takes to put each into the first one where it can be done at once with what is there. */
export function packed(cases: readonly Case[]): Case[][] {
  const groups: Case[][] = [];
  for (const one of cases) {
    const free = groups.find((group) => group.length < 3 && areAllowed([...group, one]));
    if (free) free.push(one);
    else groups.push([one]);
  }
  return groups;
}

/** They don't touch the same, and don't take both what chooses and what guards from one node. */
function areAllowed(group: readonly Case[]): boolean {
  const isHalved = group.some((one) =>
    group.some((other) => isGuard(one) && isChoice(other) && one !== other && one.node === other.node),
  );
  return areApart(group) && !isHalved;
}

function areApart(group: readonly Case[]): boolean {
  const places = group.flatMap(({ node, told }) => [...new Set(told.map(({ where }) => `${node} ${where}`))]);
  return new Set(places).size === places.length;
}

/** Sets and SNAT rules are doubled: where both halves are gone, a selected pod can't be told from any other. */
const GUARD = /GUARD|STRAY|RESET-MARK|SNAT-BACKUP|^egw-g/;
const isGuard = ({ told, what }: Case): boolean => GUARD.test(what) || told.some(({ where }) => GUARD.test(where));
const isChoice = ({ told, what }: Case): boolean => !GUARD.test(what) && told.some(({ where }) => !GUARD.test(where));
