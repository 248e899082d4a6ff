import { type Cidr, contains, overlaps } from "../address";
import type { Problem } from "../args";
import { type At, at, isKnown, items, text } from "../at";
import { quote } from "../problem";
import { rangesOf, subtract } from "../ranges";
import { type CidrAt, cidrListRule, cidrsAt, EVERYTHING } from "./cidr-list";

const LISTS = [
  ["sources", "cidrs"],
  ["destinations", "cidrs"],
  ["destinations", "except"],
] as const;

/** All networks of a policy are networks, once each. */
export function policyListsRule(args: At): Problem[] {
  return LISTS.flatMap((keys) => cidrListRule(at(args, ...keys)));
}

/** Sources are pods, never everything. */
export function sourcesRule(args: At): Problem[] {
  return cidrsAt(at(args, "sources", "cidrs"))
    .filter(({ cidr }) => cidr === EVERYTHING)
    .map(({ path, text }) => ({
      path,
      message: `${quote(text)} is every host, not only pods. Give the CIDRs of the pods that are meant.`,
    }));
}

/** Neither end is a loopback or multicast address: no such packet is forwarded. */
export function forwardedRule(args: At): Problem[] {
  const ends = [at(args, "sources", "cidrs"), at(args, "destinations", "cidrs")];
  return ends.flatMap(cidrsAt).flatMap(({ path, text, cidr }) => {
    const kind = contains("127.0.0.0/8", cidr) ? "loopback" : contains("224.0.0.0/4", cidr) ? "multicast" : undefined;
    return kind === undefined
      ? []
      : [{ path, message: `${quote(text)} is ${kind}, which is never forwarded. Remove it.` }];
  });
}

/** An exception takes something away. */
export function usefulExceptRule(args: At): Problem[] {
  const list = at(args, "destinations", "cidrs");
  const destinations = cidrsAt(list);
  if (destinations.length === 0 || destinations.length < items(list).length) return [];
  return cidrsAt(at(args, "destinations", "except"))
    .filter(({ cidr }) => !destinations.some((destination) => overlaps(destination.cidr, cidr)))
    .map(({ path, text }) => ({
      path,
      message: `${quote(text)} is outside all destinations, so it excepts nothing. Remove it.`,
    }));
}

/** No destination is ignored by the gateway as a whole. */
export function ignoredDestinationRule(args: At): Problem[] {
  const ignored = ignoredBy(args);
  return cidrsAt(at(args, "destinations", "cidrs")).flatMap(({ path, text, cidr }) => {
    if (
      somethingLeft(
        [cidr],
        ignored.map((entry) => entry.cidr),
      )
    )
      return [];
    const whole = ignored.find((entry) => contains(entry.cidr, cidr));
    const by = whole === undefined ? "networks" : `${quote(whole.text)}, a network`;
    return [
      {
        path,
        message: `${quote(text)} is in ${by} that ${gatewayName(args)} ignores. Remove it, or the network from ignore.`,
      },
    ];
  });
}

/** The exceptions leave something of the destinations. */
export function remainderRule(args: At): Problem[] {
  const list = at(args, "destinations", "cidrs");
  const destinations = cidrsAt(list).map(({ cidr }) => cidr);
  if (!isKnown(list) || destinations.length < items(list).length) return [];
  const wanted = destinations.length > 0 ? destinations : [EVERYTHING];
  const ignored = ignoredBy(args).map(({ cidr }) => cidr);
  const except = cidrsAt(at(args, "destinations", "except")).map(({ cidr }) => cidr);
  if (!somethingLeft(wanted, ignored) || somethingLeft(wanted, [...except, ...ignored])) return [];
  return [
    {
      path: "destinations.except",
      message: "Nothing is left of the destinations. Remove exceptions, or the whole policy.",
    },
  ];
}

function ignoredBy(args: At): CidrAt[] {
  return cidrsAt(at(args, "gateway", "ignore"));
}

function gatewayName(args: At): string {
  const name = text(at(args, "gateway", "name"));
  return name === undefined ? "the gateway" : `gateway ${quote(name)}`;
}

function somethingLeft(cidrs: readonly Cidr[], excluded: readonly Cidr[]): boolean {
  return subtract(rangesOf(cidrs), rangesOf(excluded)).length > 0;
}
