import { type IpKind, lines } from "./kind";

/** An IPv4 address on a device: the node's tunnel address or an egress IP. Always /32. */
export interface DeviceAddress {
  readonly kind: "address";
  readonly device: string;
  readonly address: string;
  /** `<device>:egw` marks an egress IP as ours; empty on the tunnel device, where everything is ours. */
  readonly label: string;
}

/** The label of an egress IP. IFNAMSIZ leaves room for devices of up to 11 characters; longer ones have no label. */
export function egressLabel(device: string): string {
  return device.length <= 11 ? `${device}:egw` : "";
}

export const address: IpKind<DeviceAddress> = {
  kind: "address",
  ownership: "on egw.vxlan, or labelled DEVICE:egw",
  key: (o) => `address ${o.address}/32 dev ${o.device}`,
  text: (o) => `address ${o.address}/32 dev ${o.device}${o.label === "" ? "" : ` label ${o.label}`}`,
  add: (o) => [`addr add ${o.address}/32 dev ${o.device}${o.label === "" ? "" : ` label ${o.label}`}`],
  remove: (o) => [`addr del ${o.address}/32 dev ${o.device}`],
  parse: (output) => lines(output).flatMap(parseAddressLine),
};

function parseAddressLine(line: string): DeviceAddress[] {
  // `2: eth0    inet 192.0.2.1/32 scope global eth0:egw\       valid_lft forever …`
  const match =
    /^\d+: (\S+)\s+inet (\S+?)\/(\d+) (?:brd \S+ )?scope \S+ (?:dynamic |noprefixroute |secondary |deprecated )*(\S+?)\\?\s/.exec(
      `${line} `,
    );
  if (!match) return [];
  const [, device = "", ip = "", length, label = ""] = match;
  if (length !== "32") return [];
  if (device === "egw.vxlan") return [{ kind: "address", device, address: ip, label: "" }];
  return label === `${device}:egw` ? [{ kind: "address", device, address: ip, label }] : [];
}
