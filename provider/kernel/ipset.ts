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
  /** Further words of its `create` line, in the order of `EXTRAS`; left out: those that ours always have. */
  readonly extras?: readonly Extra[];
}

/** What members can carry: an expiry of their own though the set has none, what they have matched, a text. */
const EXTRAS = ["timeout 0", "counters", "comment"] as const;
type Extra = (typeof EXTRAS)[number];

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
    `ipset ${o.name} ${o.type}${timeoutOf(o)}${o.maxElements === undefined ? "" : ` maxelem ${o.maxElements}`}${otherExtras(o)}`,
  // hashsize, bucketsize and initval are the kernel's own affair and stay out of comparison.
  parse: (output) =>
    lines(output).flatMap((line) => {
      const match = /^create (egw-\S+) (\S+)(.*)$/.exec(line);
      if (!match) return [];
      const timeout = Number(/ timeout (\d+)/.exec(match[3] ?? "")?.[1] ?? 0);
      const maxElements = Number(/ maxelem (\d+)/.exec(match[3] ?? "")?.[1] ?? MAX_ELEMENTS);
      const extras = EXTRAS.filter((extra) => `${match[3]} `.includes(` ${extra} `));
      const set = { kind: "ipset" as const, name: match[1] ?? "", type: match[2] as IpSet["type"], timeout };
      return [
        {
          ...set,
          ...(maxElements === MAX_ELEMENTS ? {} : { maxElements }),
          ...(extras.join() === usualExtras(set).join() ? {} : { extras }),
        },
      ];
    }),
};

/** Members of a dynamic set carry a comment and count what they match. */
const usualExtras = ({ timeout }: Pick<IpSet, "timeout">): readonly Extra[] =>
  timeout > 0 ? ["counters", "comment"] : [];

const timeoutOf = ({ timeout }: IpSet): string => (timeout > 0 ? ` timeout ${timeout}` : "");

function otherExtras(o: IpSet): string {
  const [usual, extras] = [usualExtras(o), o.extras ?? usualExtras(o)];
  const lacking = usual.filter((extra) => !extras.includes(extra)).map((extra) => ` without ${extra}`);
  return [...lacking, ...extras.filter((extra) => !usual.includes(extra)).map((extra) => ` with ${extra}`)].join("");
}

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

export const createSet = (o: IpSet): string =>
  [
    `create ${o.name} ${o.type} family inet maxelem ${o.maxElements ?? MAX_ELEMENTS}${timeoutOf(o)}`,
    ...(o.extras ?? usualExtras(o)),
  ].join(" ");
export const destroySet = (o: IpSet): string => `destroy ${o.name}`;
export const addMember = (o: SetMember): string => `add ${o.set} ${o.element}${o.nomatch ? " nomatch" : ""}`;
export const removeMember = (o: SetMember): string => `del ${o.set} ${o.element}`;

/** A canonical CIDR as ipset prints it. */
export function element(cidr: string): string {
  return cidr.endsWith("/32") ? cidr.slice(0, -3) : cidr;
}
