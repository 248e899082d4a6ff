import { lines } from "../kernel/kind";
import type { Sections } from "../program/frame";

/** What we look at on a host but never own. */
export interface HostFacts {
  readonly kernel: string;
  readonly hostname: string;
  /** Name of the network namespace that is programmed; undefined where it is a machine's own. */
  readonly netns?: string | undefined;
  readonly missingTools: readonly string[];
  /** What else keeps programs from it: `bpffs` (there is none), `big-endian`, `ipsec` (policies for any packet). */
  readonly unfit: readonly string[];
  readonly srcValidMark: boolean;
  readonly ipForward: boolean;
  readonly dropPolicies: readonly string[];
  readonly addresses: readonly { readonly device: string; readonly cidr: string }[];
  readonly mtus: Readonly<Record<string, number>>;
  /** Devices whose packets don't begin with an Ethernet header → what kind of link they are. */
  readonly notEthernet: ReadonlyMap<string, string>;
  readonly routes: readonly string[];
  /** Ip rules of others that lead to a way out: to a table with a default route, or to none. */
  readonly rules: readonly string[];
  readonly tables: ReadonlySet<number>;
  /** BPF programs of others on TC hooks: `isFirst` where no filter of ours can come before them, as by tcx. */
  readonly filters: readonly {
    readonly device: string;
    readonly direction: string;
    readonly name: string;
    readonly isFirst?: boolean;
  }[];
  /** TC hooks that our programs can't share: `by` an ingress `qdisc`, a `clsact` that shares its filters, or filters of this kind, which are no BPF. */
  readonly taken: readonly { readonly device: string; readonly direction: string; readonly by: string }[];
  /** How often a program has come to each verdict, by its place in egw_verdicts; those that are not 0. */
  readonly verdicts: ReadonlyMap<number, number>;
  /** Devices that drop what they would not send an answer to by → their own rp_filter. */
  readonly strict?: ReadonlyMap<string, string>;
  /** Local UDP ports in use. */
  readonly udpPorts: ReadonlySet<number>;
}

/** The sections of a node's answer that tell of what is not ours. */
export function parseHostFacts(sections: Sections): HostFacts {
  const facts = lines(sections.get("facts") ?? "").map((line) => line.split(" "));
  const value = (name: string): string =>
    facts
      .find(([key]) => key === name)
      ?.slice(1)
      .join(" ") ?? "";
  const all = (name: string): string[] => facts.filter(([key]) => key === name).map(([, item = ""]) => item);
  const pairs = (name: string): string[][] => lines(sections.get(name) ?? "").map((line) => line.split(" "));
  return {
    kernel: value("kernel"),
    hostname: value("hostname"),
    netns: value("netns") || undefined,
    missingTools: all("no-tool"),
    unfit: all("unfit"),
    srcValidMark: value("src_valid_mark") === "1",
    ipForward: value("ip_forward") === "1",
    dropPolicies: all("policy-drop"),
    addresses: pairs("host-addresses").map(([device = "", cidr = ""]) => ({ device, cidr })),
    mtus: Object.fromEntries(pairs("host-links").map(([device = "", mtu]) => [device, Number(mtu)])),
    notEthernet: new Map(
      pairs("host-links").flatMap(([device = "", , type = "?"]) => (type === "ether" ? [] : [[device, type]])),
    ),
    routes: lines(sections.get("host-routes") ?? ""),
    rules: lines(sections.get("host-rules") ?? ""),
    tables: new Set(lines(sections.get("host-tables") ?? "").map(Number)),
    filters: pairs("host-filters").map(([device = "", direction = "", name = "", by]) => ({
      device,
      direction,
      name,
      isFirst: by === "first",
    })),
    taken: pairs("host-taken").map(([device = "", direction = "", by = ""]) => ({ device, direction, by })),
    verdicts: new Map(pairs("verdicts").map(([index, count]) => [Number(index), Number(count)])),
    strict: new Map(pairs("host-strict").map(([device = "", own = ""]) => [device, own])),
    udpPorts: new Set(lines(sections.get("host-udp") ?? "").map((port) => Number.parseInt(port, 16))),
  };
}
