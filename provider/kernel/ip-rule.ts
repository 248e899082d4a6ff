import { hex } from "../model/mark";
import { type IpKind, lines } from "./kind";
import { PROTOCOL } from "./route";

/** A policy routing rule: this mark is looked up in that table. */
export interface IpRule {
  readonly kind: "ip-rule";
  readonly preference: number;
  readonly mark: number;
  readonly mask: number;
  readonly table: number;
}

export const ipRule: IpKind<IpRule> = {
  kind: "ip-rule",
  ownership: `protocol ${PROTOCOL}`,
  key: (o) => `ip-rule fwmark ${hex(o.mark)}/${hex(o.mask)}`,
  text: (o) => `ip-rule fwmark ${hex(o.mark)}/${hex(o.mask)} pref ${o.preference} lookup ${o.table}`,
  add: (o) => [`rule add ${selector(o)}`],
  remove: (o) => [`rule del ${selector(o)}`],
  parse: (output) =>
    lines(output).flatMap((line) => {
      // iproute2 6.1 lists all rules whatever `protocol` asks for, so each line has to say whose it is.
      const match = /^(\d+):\s+from all fwmark (0x[0-9a-f]+)\/(0x[0-9a-f]+) lookup (\d+) proto 38$/.exec(line);
      if (!match) return [];
      const [, preference, mark, mask, table] = match;
      return [
        {
          kind: "ip-rule" as const,
          preference: Number(preference),
          mark: Number(mark),
          mask: Number(mask),
          table: Number(table),
        },
      ];
    }),
};

function selector(o: IpRule): string {
  return `pref ${o.preference} fwmark ${hex(o.mark)}/${hex(o.mask)} table ${o.table} protocol ${PROTOCOL}`;
}
