import { compareText } from "../../../provider/kernel/state";
import { printBpf, printForeignFilters } from "./fake-bpf";
import { extrasOf, type FakeLink, type FakeRoute, isOfLeg, type World } from "./fake-world";

/** What the tools print for a node. The formats are those of iproute2 6.1, ipset 7.17 and iptables 1.8.9. */
export interface Printed {
  readonly link: string;
  readonly sysctl: string;
  readonly address: string;
  readonly neighbour: string;
  readonly route: string;
  readonly foreignRoute: string;
  readonly rule: string;
  readonly iptables: string;
  readonly ipset: string;
  readonly bpf: string;
  readonly foreignFilter: string;
}

export function printWorld(world: World): Printed {
  const sets = [...world.sets].sort(([a], [b]) => compareText(a, b));
  return {
    link: text([...world.links].map(([name, link]) => printLink(name, link)).sort(compareText)),
    sysctl: text(
      [...world.sysctls].map(([name, value]) => `${name} = ${value}`).filter((line) => line.includes("/egw.vxlan/")),
    ),
    address: text(
      world.addresses
        .map(
          (a) =>
            `0: ${a.device}    inet ${a.address}/${a.length}${a.metric > 0 ? ` metric ${a.metric}` : ""} scope ${a.scope} ${a.label}\\       valid_lft forever preferred_lft forever`,
        )
        .sort(compareText),
    ),
    neighbour: text(
      world.neighbours
        .map((n) =>
          n.device === "egw.vxlan"
            ? `${n.address} lladdr ${n.mac} PERMANENT `
            : `${n.address} dev ${n.device} lladdr ${n.mac} PERMANENT `,
        )
        .sort(compareText),
    ),
    route: routes(world, (r) => r.protocol === 38 || isOfLeg(r.table)),
    foreignRoute: routes(world, (r) => r.protocol !== 38 && !isOfLeg(r.table)),
    rule: text(
      [...world.rules]
        .sort((a, b) => a.preference - b.preference || compareText(a.selector, b.selector) || a.table - b.table)
        .map(
          (r) =>
            `${r.preference}:\tfrom all ${r.selector === "" ? "" : `${r.selector} `}lookup ${r.table}${r.protocol > 2 ? ` proto ${r.protocol}` : ""}`,
        ),
    ),
    iptables: text(
      [...world.tables].flatMap(([table, chains]) => [
        `*${table}`,
        ...[...chains]
          .sort(([a], [b]) => compareText(a, b))
          .map(([name, chain]) => `:${name} ${chain.policy ?? "-"} [0:0]`),
        ...[...chains]
          .sort(([a], [b]) => compareText(a, b))
          .flatMap(([name, chain]) => chain.rules.map((rule) => `-A ${name} ${rule}`)),
        "COMMIT",
      ]),
    ),
    ipset: text(
      sets.flatMap(([name, set]) => [
        `create ${name} ${set.type} family inet hashsize 1024 maxelem ${set.maxElements}${set.timeout > 0 ? ` timeout ${set.timeout}` : ""}${extrasOf(set)} bucketsize 12 initval 0x167f39d1`,
        ...[...set.members]
          .map(
            ([member, nomatch]) =>
              `add ${name} ${member}${set.timeout > 0 ? ` timeout ${set.timeout} counters comment` : ""}${nomatch ? " nomatch" : ""}`,
          )
          .sort(compareText),
      ]),
    ),
    bpf: text(printBpf(world)),
    foreignFilter: text(printForeignFilters(world)),
  };
}

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

function printLink(name: string, { mac, mtu, port, up, master }: FakeLink): string {
  const flags = up ? "<BROADCAST,MULTICAST,UP,LOWER_UP>" : "<BROADCAST,MULTICAST>";
  const kind =
    port === undefined
      ? "veth"
      : `vxlan external id 0 srcport 0 0 dstport ${port} nolearning ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx`;
  return `0: ${name}: ${flags} mtu ${mtu} qdisc noqueue${master === undefined ? "" : ` master ${master}`} state UNKNOWN mode DEFAULT group default qlen 1000\\    link/ether ${mac} brd ff:ff:ff:ff:ff:ff promiscuity 0 \\    ${kind} addrgenmode eui64`;
}

function routes(world: World, isListed: (route: FakeRoute) => boolean): string {
  return text(world.routes.filter(isListed).map(printRoute).sort(compareText));
}

function printRoute(r: FakeRoute): string {
  const protocol = r.protocol > 3 ? ` proto ${r.protocol}` : "";
  const metric = r.metric > 0 ? ` metric ${r.metric}` : "";
  if (r.type === "unreachable") return `7 ${r.destination} table ${r.table}${protocol}${metric} `;
  const encap = r.encap ? `  encap ip id ${r.encap.id} src 0.0.0.0 dst ${r.encap.underlay} ttl 0 tos 0` : "";
  const via = r.via === undefined ? "" : ` via ${r.via}`;
  return `${r.destination}${encap}${via} dev ${r.device} table ${r.table}${protocol}${metric}${r.encap ? " onlink" : ""} `;
}
