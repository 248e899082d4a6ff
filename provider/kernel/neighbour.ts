import { type IpKind, lines } from "./kind";

/** A permanent neighbour on the tunnel device: the peer's tunnel address and its MAC. */
export interface Neighbour {
  readonly kind: "neighbour";
  readonly device: string;
  readonly address: string;
  readonly mac: string;
}

export const neighbour: IpKind<Neighbour> = {
  kind: "neighbour",
  ownership: "permanent and on egw.vxlan",
  key: (o) => `neighbour ${o.address} dev ${o.device}`,
  text: (o) => `neighbour ${o.address} dev ${o.device} lladdr ${o.mac} permanent`,
  add: (o) => [`neigh replace ${o.address} lladdr ${o.mac} dev ${o.device} nud permanent`],
  remove: (o) => [`neigh del ${o.address} dev ${o.device}`],
  parse: (output) =>
    lines(output).flatMap((line) => {
      const match = /^(\d\S*) (?:dev egw\.vxlan )?lladdr (\S+)(?: \S+)* PERMANENT/.exec(line);
      return match
        ? [{ kind: "neighbour" as const, device: "egw.vxlan", address: match[1] ?? "", mac: match[2] ?? "" }]
        : [];
    }),
};
