import { type Kind, lines } from "./kind";

/** A program of ours on a device's clsact hook. */
export interface TcFilter {
  readonly kind: "tc-filter";
  readonly device: string;
  readonly direction: "ingress" | "egress";
  readonly program: string;
  /** Object and hash of the program that runs; `?` for one that is none of our pinned ones. */
  readonly of: string;
  /** Filters of others in front of it: a packet that these let through never comes to it. */
  readonly behind: readonly string[];
}

/** Programs that only take answers: there before any that begins something, and after. */
const ANSWERS = ["from_outside", "from_gateway", "uplink_client"];
/** What keeps the stack off the ports of translations: there while all others are, that know them. */
const LAST = ["to_outside"];

/** When a program is attached: 0 first, 2 last. They are detached the other way round. */
export const turnOf = (program: string): 0 | 1 | 2 => (ANSWERS.includes(program) ? 0 : LAST.includes(program) ? 2 : 1);

/** What the filters of ours are named by, before the program's name. */
const FILTER_PREFIX = "egw-";

export const tcFilter: Kind<TcFilter> = {
  kind: "tc-filter",
  ownership: `its name begins with ${FILTER_PREFIX}`,
  key: (o) => `tc-filter ${o.device} ${o.direction} ${o.program}`,
  text: (o) => `${tcFilter.key(o)} of ${o.of}${o.behind.length === 0 ? "" : ` behind ${o.behind.join(" ")}`}`,
  // filter DEVICE DIRECTION NAME OBJECT HASH, in the order in which a packet meets them
  parse: (output) => {
    const others = new Map<string, string[]>();
    return lines(output).flatMap((line) => {
      const [word, device = "", direction = "", name = "", ...of] = line.split(" ");
      if (word !== "filter") return [];
      const place = `${device} ${direction}`;
      const behind = others.get(place) ?? [];
      if (!name.startsWith(FILTER_PREFIX)) {
        others.set(place, [...behind, name]);
        return [];
      }
      const program = name.slice(FILTER_PREFIX.length);
      return [
        {
          kind: "tc-filter" as const,
          device,
          direction: direction === "egress" ? ("egress" as const) : ("ingress" as const),
          program,
          of: of.join(" "),
          behind,
        },
      ];
    });
  },
};
