import { type IpKind, lines } from "./kind";

/** An IPv4 address on a device: the node's tunnel address or an egress IP. We set a /32 of scope global that stays for ever. */
export interface DeviceAddress {
  readonly kind: "address";
  readonly device: string;
  readonly address: string;
  /** `<device>:egw` marks an egress IP as ours; empty on the tunnel device, where everything is ours, and where METRIC marks it. */
  readonly label: string;
  /** Another network than /32, never wanted, only found: `/24`, or a space and `peer A.B.C.D/32`. */
  readonly network?: string;
  /** Another scope than `global`, never wanted, only found. */
  readonly scope?: string;
  /** What of its two lifetimes has an end, never wanted, only found. The end itself moves. */
  readonly lifetime?: string;
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

const networkOf = ({ address: ip, network = "/32" }: DeviceAddress): string => `${ip}${network}`;
const scopeOf = ({ scope }: DeviceAddress): string => (scope === undefined ? "" : ` scope ${scope}`);
const wordsOf = (o: DeviceAddress): string => `${networkOf(o)} dev ${o.device}${scopeOf(o)}${markOf(o)}`;

/** How a node's list of all addresses shows it: without a length where it has a peer. */
export const cidrOf = (o: DeviceAddress): string => networkOf(o).split(" ")[0] ?? "";

export const address: IpKind<DeviceAddress> = {
  kind: "address",
  ownership: `on egw.vxlan, labelled DEVICE:egw, or of metric ${METRIC}`,
  key: (o) => `address ${o.address}/32 dev ${o.device}`,
  text: (o) => `address ${wordsOf(o)}${o.lifetime === undefined ? "" : ` ${o.lifetime}`}`,
  add: (o) => [`addr add ${wordsOf(o)}`],
  remove: (o) => [`addr del ${networkOf(o)} dev ${o.device}`],
  parse: (output) => lines(output).flatMap(parseAddressLine),
};

/**
 * The lines that make one form of an address into another, with one of them there at any time: a device that loses its last
 * address loses its neighbours and routes. Two of one length can't be there together, so a third stands in.
 * A lifetime becomes endless and stays so: undone or not, nobody misses that end.
 */
export function changeAddress(from: DeviceAddress, to: DeviceAddress): string[] {
  if (networkOf(from) !== networkOf(to)) return [...address.add(to), ...address.remove(from)];
  if (wordsOf(from) === wordsOf(to)) return [`addr change ${wordsOf(to)}`];
  const between = { ...to, network: "/31" };
  return [
    ...address.add(between).map((line) => `${line} noprefixroute`),
    ...address.remove(from),
    ...address.add(to),
    ...address.remove(between),
  ];
}

function parseAddressLine(line: string): DeviceAddress[] {
  // `2: eth0    inet 192.0.2.1/32 scope global eth0:egw\       valid_lft forever …`
  const match =
    /^\d+: (\S+)\s+inet ([\d.]+)(\/\d+| peer \S+) (?:metric (\d+) )?.*?\bscope (\S+) (?:\S+ )*?(\S+?)\\?\s+(valid_lft .*)$/.exec(
      line,
    );
  if (!match) return [];
  const [, device = "", ip = "", network = "/32", metric, scope = "global", label = "", lifetimes = ""] = match;
  const isLabelled = label === `${device}:egw`;
  if (!isLabelled && device !== "egw.vxlan" && metric !== `${METRIC}`) return [];
  const lifetime = (lifetimes.match(/\w+_lft (?!forever)\S+/g) ?? []).map((one) => one.replace(/ .*/, " limited"));
  return [
    {
      kind: "address",
      device,
      address: ip,
      label: isLabelled ? label : "",
      ...(network === "/32" ? {} : { network }),
      ...(scope === "global" ? {} : { scope }),
      ...(lifetime.length === 0 ? {} : { lifetime: lifetime.join(" ") }),
    },
  ];
}
