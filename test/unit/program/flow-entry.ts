import { encode } from "../../../provider/kernel/bpf-layout";

/** A flow of the unit tests, as bpftool shows it. */
export const GATEWAY = "192.168.0.101";
export const OPENING = 0x8000_0000;
export const tuple = encode("egw_tuple", {
  source: "10.0.1.11",
  destination: "203.0.113.9",
  source_port: 40000,
  destination_port: 443,
  protocol: 6,
});
export const words = (bytes: Buffer): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
