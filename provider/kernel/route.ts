import { type IpKind, lines } from "./kind";

/** The two routes of a leg's table: the encapsulating default, and the `unreachable` beneath it that keeps the table closed. */
export interface Route {
  readonly kind: "route";
  readonly table: number;
  readonly leg?: {
    readonly via: string;
    readonly device: string;
    readonly vni: number;
    readonly underlay: string;
    readonly source?: string;
  };
  /** Some other route that carries our protocol number or is in a leg's table, in the words of `ip route`: never wanted, only found. */
  readonly other?: string;
  /** It doesn't carry our protocol number. */
  readonly isForeign?: true;
}

/** The routing protocol number that marks a route or rule as ours. */
export const PROTOCOL = 38;
const CLOSED_METRIC = 4096;

export const route: IpKind<Route> = {
  kind: "route",
  ownership: `proto ${PROTOCOL}, or in a leg's table`,
  key: (o) => `route ${nameOf(o)} table ${o.table}`,
  text: (o) => {
    if (o.other !== undefined) return `route ${o.other} table ${o.table}`;
    return o.leg
      ? `route default table ${o.table} encap id ${o.leg.vni}${sourceOf(o.leg)} dst ${o.leg.underlay} via ${o.leg.via} dev ${o.leg.device} onlink`
      : `route unreachable default table ${o.table} metric ${CLOSED_METRIC}`;
  },
  add: (o) => [
    o.leg
      ? `route replace default via ${o.leg.via} dev ${o.leg.device} onlink table ${o.table} proto ${PROTOCOL} encap ip id ${o.leg.vni}${sourceOf(o.leg)} dst ${o.leg.underlay}`
      : `route replace ${o.other ?? `unreachable default metric ${CLOSED_METRIC}`} table ${o.table}${protocol(o)}`,
  ],
  // Without a type or a next hop, a metric of 0 would match the `unreachable` route as well (kernel: fib_table_delete).
  remove: (o) => [
    o.leg
      ? `route del unicast default via ${o.leg.via} dev ${o.leg.device} table ${o.table} proto ${PROTOCOL}`
      : `route del ${o.other ?? `unreachable default metric ${CLOSED_METRIC}`} table ${o.table}${protocol(o)}`,
  ],
  parse: (output) => lines(output).flatMap(parseRoute),
};

const sourceOf = ({ source }: NonNullable<Route["leg"]>): string => (source === undefined ? "" : ` src ${source}`);

/** That of a foreign route is among its words, unless it is the one that `ip` takes by itself. */
const protocol = ({ isForeign }: Route): string => (isForeign ? "" : ` proto ${PROTOCOL}`);

/** What `replace` compares is the destination and the metric, so any default route of metric 0 is in the leg's place. */
function nameOf({ leg, other }: Route): string {
  if (leg || (other?.startsWith("default ") && !other.includes(" metric "))) return "default";
  return other ?? "unreachable default";
}

/** `ip -N` prints a type as its number, and doesn't read it back (linux/rtnetlink.h). */
const TYPES: Readonly<Record<string, string>> = {
  2: "local",
  3: "broadcast",
  4: "anycast",
  5: "multicast",
  6: "blackhole",
  7: "unreachable",
  8: "prohibit",
  9: "throw",
};

function parseRoute(line: string): Route[] {
  const isOurs = / proto 38( |$)/.test(line);
  if (!/^(\w+ )?(default|[\d.]+(\/\d+)?) /.test(line) || !(isOurs || / table \d/.test(line))) return [];
  const table = Number(/ table (\d+)/.exec(line)?.[1] ?? 254);
  const words = line
    .replace(/ table \d+| proto 38(?= |$)| linkdown| dead/g, "")
    .replace(/^(\d+) /, (_, type) => `${TYPES[type] ?? type} `)
    .replace(/\s+/g, " ")
    .trim();
  if (!isOurs) return [{ kind: "route", table, other: words, isForeign: true }];
  if (words === `unreachable default metric ${CLOSED_METRIC}`) return [{ kind: "route", table }];
  const leg = /^default encap ip id (\d+) src (\S+) dst (\S+) ttl 0 tos 0 via (\S+) dev (\S+) onlink$/.exec(words);
  if (!leg) return [{ kind: "route", table, other: words }];
  const [, vni, source, underlay = "", via = "", device = ""] = leg;
  const chosen = source === undefined || source === "0.0.0.0" ? {} : { source };
  return [{ kind: "route", table, leg: { via, device, vni: Number(vni), underlay, ...chosen } }];
}
