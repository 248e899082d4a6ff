import { type IpKind, lines } from "./kind";

/** An IPv4 address on a device: the node's tunnel address or an egress IP. Always /32. */
export interface DeviceAddress {
  readonly kind: "address";
  readonly device: string;
  readonly address: string;
  /** `<device>:egw` marks an egress IP as ours; empty on the tunnel device, where everything is ours, and where METRIC marks it. */
  readonly label: string;
}

/** IFNAMSIZ leaves room for a label on devices of up to 11 characters; an egress IP on others is marked by this metric. */
const METRIC = 3838;

/** The label of an egress IP; empty on a device whose name is too long for one. */
export function egressLabel(device: string): string {
  return device.length <= 11 ? `${device}:egw` : "";
}

function markOf({ device, label }: DeviceAddress): string {
  if (label !== "") return ` label ${label}`;
  return device === "egw.vxlan" ? "" : ` metric ${METRIC}`;
}

export const address: IpKind<DeviceAddress> = {
  kind: "address",
  ownership: `on egw.vxlan, labelled DEVICE:egw, or of metric ${METRIC}`,
  key: (o) => `address ${o.address}/32 dev ${o.device}`,
  text: (o) => `address ${o.address}/32 dev ${o.device}${markOf(o)}`,
  add: (o) => [`addr add ${o.address}/32 dev ${o.device}${markOf(o)}`],
  remove: (o) => [`addr del ${o.address}/32 dev ${o.device}`],
  parse: (output) => lines(output).flatMap(parseAddressLine),
};

function parseAddressLine(line: string): DeviceAddress[] {
  // `2: eth0    inet 192.0.2.1/32 scope global eth0:egw\       valid_lft forever …`
  const match =
    /^\d+: (\S+)\s+inet (\S+?)\/(\d+) (?:metric (\d+) )?(?:brd \S+ )?scope \S+ (?:dynamic |noprefixroute |secondary |deprecated )*(\S+?)\\?\s/.exec(
      `${line} `,
    );
  if (!match) return [];
  const [, device = "", ip = "", length, metric, label = ""] = match;
  if (length !== "32") return [];
  if (label === `${device}:egw`) return [{ kind: "address", device, address: ip, label }];
  return device === "egw.vxlan" || metric === `${METRIC}` ? [{ kind: "address", device, address: ip, label: "" }] : [];
}
