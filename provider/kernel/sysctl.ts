import { type Kind, lines } from "./kind";

/** A kernel setting, its name in slash form because device names have dots. */
export interface Sysctl {
  readonly kind: "sysctl";
  readonly name: string;
  readonly value: string;
  /** Of a device that is not ours: what it was, and is again when we go. */
  readonly former?: string;
}

export const sysctl: Kind<Sysctl> = {
  kind: "sysctl",
  ownership: "it belongs to egw.vxlan and goes with it, or node.json has what it was",
  key: (o) => `sysctl ${o.name}`,
  text: (o) => `sysctl ${o.name} = ${o.value}`,
  parse: (output) =>
    lines(output).flatMap((line) => {
      const match = /^(\S+) = (.*)$/.exec(line);
      return match ? [{ kind: "sysctl" as const, name: match[1] ?? "", value: match[2] ?? "" }] : [];
    }),
};
