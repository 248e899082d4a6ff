import { type IpKind, lines } from "./kind";

/** The two routes of a leg's table: the encapsulating default, and the `unreachable` beneath it that keeps the table closed. */
export interface Route {
  readonly kind: "route";
  readonly table: number;
  readonly leg?: { readonly via: string; readonly device: string; readonly vni: number; readonly underlay: string };
}

/** The routing protocol number that marks a route or rule as ours. */
export const PROTOCOL = 38;
const CLOSED_METRIC = 4096;

export const route: IpKind<Route> = {
  kind: "route",
  ownership: `proto ${PROTOCOL}`,
  key: (o) => (o.leg ? `route default table ${o.table}` : `route unreachable default table ${o.table}`),
  text: (o) =>
    o.leg
      ? `route default table ${o.table} encap id ${o.leg.vni} dst ${o.leg.underlay} via ${o.leg.via} dev ${o.leg.device} onlink`
      : `route unreachable default table ${o.table} metric ${CLOSED_METRIC}`,
  add: (o) => [
    o.leg
      ? `route replace default via ${o.leg.via} dev ${o.leg.device} onlink table ${o.table} proto ${PROTOCOL} encap ip id ${o.leg.vni} dst ${o.leg.underlay}`
      : `route replace unreachable default metric ${CLOSED_METRIC} table ${o.table} proto ${PROTOCOL}`,
  ],
  remove: (o) => [
    o.leg
      ? // Without a type, a metric of 0 would match the `unreachable` route as well (kernel: fib_table_delete).
        `route del unicast default table ${o.table} proto ${PROTOCOL}`
      : `route del unreachable default metric ${CLOSED_METRIC} table ${o.table} proto ${PROTOCOL}`,
  ],
  parse: (output) => lines(output).flatMap(parseRoute),
};

function parseRoute(line: string): Route[] {
  const table = Number(/ table (\d+)/.exec(line)?.[1] ?? 254);
  // `ip -N` prints the type as RTN_UNREACHABLE's number.
  if (/^(unreachable|7) default/.test(line)) return [{ kind: "route", table }];
  const encap = /encap ip id (\d+) .*?dst (\S+) .*?via (\S+) dev (\S+)/.exec(line);
  if (!/^default\s/.test(line)) return [];
  const [, vni = "0", underlay = "?", via = "?", device = "?"] = encap ?? [];
  return [{ kind: "route", table, leg: { via, device, vni: Number(vni), underlay } }];
}
