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
export const oneOfEach = (cases: readonly Case[], random: Random): Case[] => oneBy(shapeOf, cases, random);

/** One of each kind, missing, changed, extra, and as it can be else; in any order. */
export const oneOfEachWay = (cases: readonly Case[], random: Random): Case[] =>
  shuffled(
    oneBy(({ kind, how }) => `${kind} ${how}`, cases, random),
    random,
  );

function shuffled(cases: readonly Case[], random: Random): Case[] {
  if (cases.length === 0) return [];
  const first = random.pick(cases);
  return [
    first,
    ...shuffled(
      cases.filter((one) => one !== first),
      random,
    ),
  ];
}

function oneBy(nameOf: (one: Case) => string, cases: readonly Case[], random: Random): Case[] {
  const alike = new Map<string, Case[]>();
  for (const one of cases) alike.set(nameOf(one), [...(alike.get(nameOf(one)) ?? []), one]);
  return [...alike.values()].map((some) => random.pick(some));
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

/** They don't touch the same, and don't take all parts of one line of defence. */
export const areAllowed = (group: readonly Case[]): boolean => areApart(group) && !areWhole(group);

/** None changes what another one is in, or is about. */
export const areApart = (group: readonly Case[]): boolean =>
  group.every((one, i) => group.slice(i + 1).every((other) => one.node !== other.node || !meet(one, other)));

const meet = (one: Case, other: Case): boolean =>
  placesOf(one).some((a) => placesOf(other).some((b) => `${a} `.startsWith(`${b} `) || `${b} `.startsWith(`${a} `)));

const placesOf = ({ told, counts = [] }: Case): string[] => [...told.map(({ where }) => where), ...counts];

/** A selected pod can't be told from any other then. */
export function areWhole(group: readonly Case[]): boolean {
  const parts = new Map(group.flatMap(({ takes }) => takes.map((part) => [`${part.line} #${part.index}`, part])));
  return [...parts.values()].some(
    ({ line, of }) => [...parts.values()].filter((one) => one.line === line).length === of,
  );
}
