import { type IpKind, lines } from "./kind";

/** The tunnel device: vxlan in collect-metadata mode, no FDB, no per-peer state. */
export interface Link {
  readonly kind: "link";
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly port: number;
  readonly up: boolean;
  /** The bridge, bond or VRF that takes what comes out of it, which nothing of ours then sees; ours has none. */
  readonly master?: string;
}

export const link: IpKind<Link> = {
  kind: "link",
  ownership: "its name, egw.vxlan",
  key: (o) => `link ${o.name}`,
  text: (o) =>
    `link ${o.name} vxlan external dstport ${o.port} address ${o.mac} mtu ${o.mtu} ${o.up ? "up" : "down"}${o.master === undefined ? "" : ` master ${o.master}`}`,
  // dstport can't be changed in place, so a changed port is a removal and an addition (kernel: vxlan_changelink).
  add: (o) => [
    `link add ${o.name} address ${o.mac} mtu ${o.mtu} type vxlan external dstport ${o.port}`,
    ...(o.master === undefined ? [] : [`link set ${o.name} master ${o.master}`]),
    `link set ${o.name} ${o.up ? "up" : "down"}`,
  ],
  remove: (o) => [`link del ${o.name}`],
  parse: (output) => lines(output).flatMap(parseLink),
};

/** The lines that turn `from` into `to` without deleting the device; undefined where only a new device will do. */
export function changeLink(from: Link, to: Link): string[] | undefined {
  if (from.port !== to.port || from.name !== to.name) return undefined;
  const isMoved = from.master !== to.master;
  return [
    // Some masters take its routes and neighbours as it comes or goes (kernel: vrf, cycle_netdev): going down, it always loses them.
    ...(isMoved
      ? [
          `link set ${to.name} down`,
          `link set ${to.name} ${to.master === undefined ? "nomaster" : `master ${to.master}`}`,
        ]
      : []),
    ...(from.mac === to.mac ? [] : [`link set ${to.name} address ${to.mac}`]),
    ...(from.mtu === to.mtu ? [] : [`link set ${to.name} mtu ${to.mtu}`]),
    ...((isMoved ? !to.up : from.up === to.up) ? [] : [`link set ${to.name} ${to.up ? "up" : "down"}`]),
  ];
}

function parseLink(line: string): Link[] {
  const head = /^\d+: (egw\.vxlan)(?:@\S+)?: <([^>]*)> mtu (\d+)/.exec(line);
  const mac = /link\/ether (\S+)/.exec(line);
  const port = / dstport (\d+)/.exec(line);
  const master = / master (\S+)/.exec(line)?.[1];
  if (!head) return [];
  const isOurs = / vxlan external /.test(line);
  return [
    {
      kind: "link",
      name: head[1] ?? "",
      mac: mac?.[1] ?? "",
      mtu: Number(head[3]),
      port: isOurs ? Number(port?.[1] ?? 0) : 0,
      up: (head[2] ?? "").split(",").includes("UP"),
      ...(master === undefined ? {} : { master }),
    },
  ];
}
