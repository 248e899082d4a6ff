import { type Kind, lines } from "./kind";

/** The programs of one object, loaded and pinned. */
export interface BpfProgram {
  readonly kind: "bpf-program";
  readonly object: string;
  /** Of the object and the constants in it. */
  readonly hash: string;
  /** The devices whose interface numbers are in it: the tunnel, the uplink. `?` for one that is not there any more. */
  readonly devices: readonly string[];
  /** What is pinned of it, sorted. */
  readonly programs: readonly string[];
}

export const bpfProgram: Kind<BpfProgram> = {
  kind: "bpf-program",
  ownership: "it is pinned in our folder",
  key: (o) => `bpf-program ${o.object} ${o.hash}`,
  text: (o) => `bpf-program ${o.object} ${o.hash} for ${o.devices.join(" ")}: ${o.programs.join(" ")}`,
  // program OBJECT HASH TUNNEL UPLINK PROGRAM…
  parse: (output) =>
    lines(output).flatMap((line) => {
      const [word, object = "", hash = "", tunnel = "", uplink = "", ...programs] = line.split(" ");
      return word === "program"
        ? [{ kind: "bpf-program" as const, object, hash, devices: [tunnel, uplink], programs: programs.sort() }]
        : [];
    }),
};
