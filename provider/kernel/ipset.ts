import { type Kind, lines } from "./kind";

/** A set. Members of a dynamic one come and go by themselves (with a timeout) and are nobody's drift. */
export interface IpSet {
  readonly kind: "ipset";
  readonly name: string;
  readonly type: "hash:net" | "hash:ip,port,ip";
  /** Seconds after which a member of a dynamic set goes by itself; 0 = never. */
  readonly timeout: number;
  /** How many members it takes at most; left out: as many as ours always take. */
  readonly maxElements?: number;
}

export interface SetMember {
  readonly kind: "ipset-member";
  readonly set: string;
  /** A network as ipset prints it: a /32 has no prefix length. */
  readonly element: string;
  readonly nomatch: boolean;
}

/** The kernel's own default of 65536 is less than the sources of a large policy. */
const MAX_ELEMENTS = 1048576;

export const ipset: Kind<IpSet> = {
  kind: "ipset",
  ownership: "its name begins with egw-",
  key: (o) => `ipset ${o.name}`,
  text: (o) =>
    `ipset ${o.name} ${o.type}${o.timeout > 0 ? ` timeout ${o.timeout}` : ""}${o.maxElements === undefined ? "" : ` maxelem ${o.maxElements}`}`,
  // hashsize, bucketsize and initval are the kernel's own affair and stay out of comparison.
  parse: (output) =>
    lines(output).flatMap((line) => {
      const match = /^create (egw-\S+) (\S+)(.*)$/.exec(line);
      if (!match) return [];
      const timeout = Number(/ timeout (\d+)/.exec(match[3] ?? "")?.[1] ?? 0);
      const maxElements = Number(/ maxelem (\d+)/.exec(match[3] ?? "")?.[1] ?? MAX_ELEMENTS);
      const set = { kind: "ipset" as const, name: match[1] ?? "", type: match[2] as IpSet["type"], timeout };
      return [maxElements === MAX_ELEMENTS ? set : { ...set, maxElements }];
    }),
};

export const setMember: Kind<SetMember> = {
  kind: "ipset-member",
  ownership: "it is in a set of ours",
  key: (o) => `ipset-member ${o.set} ${o.element}`,
  text: (o) => `ipset-member ${o.set} ${o.element}${o.nomatch ? " nomatch" : ""}`,
  parse: (output) => {
    const dynamic = new Set(
      ipset
        .parse(output)
        .filter((set) => set.timeout > 0)
        .map((set) => set.name),
    );
    return lines(output).flatMap((line) => {
      const match = /^add (egw-\S+) (\S+)(.*)$/.exec(line);
      if (!match || dynamic.has(match[1] ?? "")) return [];
      return [
        {
          kind: "ipset-member" as const,
          set: match[1] ?? "",
          element: match[2] ?? "",
          nomatch: / nomatch/.test(match[3] ?? ""),
        },
      ];
    });
  },
};

/** Members of a dynamic set carry a comment and count what they match. */
export const createSet = (o: IpSet): string =>
  `create ${o.name} ${o.type} family inet maxelem ${o.maxElements ?? MAX_ELEMENTS}${o.timeout > 0 ? ` timeout ${o.timeout} counters comment` : ""}`;
export const destroySet = (o: IpSet): string => `destroy ${o.name}`;
export const addMember = (o: SetMember): string => `add ${o.set} ${o.element}${o.nomatch ? " nomatch" : ""}`;
export const removeMember = (o: SetMember): string => `del ${o.set} ${o.element}`;

/** A canonical CIDR as ipset prints it. */
export function element(cidr: string): string {
  return cidr.endsWith("/32") ? cidr.slice(0, -3) : cidr;
}
