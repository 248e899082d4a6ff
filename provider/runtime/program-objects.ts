import { gzipSync } from "node:zlib";
import { constantsOf } from "../compile/bpf";
import { OBJECTS, type ObjectName, write } from "../kernel/bpf-layout";
import { constantAt, withConstants } from "../kernel/bpf-object";
import type { Claim, NodeClaim } from "../model/claim";
import type { Batch } from "../program/apply";
import type { Step } from "../reconcile/step";
import { programsOf } from "../transport/programs";

/** Letters of base64 a line. */
const LINE = 76;
/** Whose interface numbers are put in on the node. */
const DEVICES = { client: ["tunnel"], gateway: ["tunnel", "uplink"] } as const;

/**
 * The objects that a batch loads, with all constants but the numbers of the node's devices.
 * @throws Error where the package has no such object.
 */
export function objectsOf(steps: readonly Step[], claims: readonly Claim[]): Batch["objects"] {
  const node = claims.find((claim): claim is NodeClaim => claim.kind === "node");
  const loads = steps.flatMap(({ tool, input }) => (tool === "bpf-program" ? input : []));
  const isLoaded = (name: ObjectName): boolean => loads.some((line) => line.startsWith(`load ${name} `));
  if (!node) return [];
  return (Object.keys(OBJECTS) as ObjectName[]).filter(isLoaded).map((name) => {
    const constants = Object.entries(constantsOf(node)).map(([constant, { type, value }]) => [
      constant,
      write(type, value),
    ]);
    const object = withConstants(programsOf(name), Object.fromEntries(constants));
    const text = gzipSync(object, { level: 9 }).toString("base64");
    return {
      name,
      lines: text.match(new RegExp(`.{1,${LINE}}`, "g")) ?? [],
      devices: DEVICES[name].map((device) => ({ device, at: constantAt(object, `${device}_ifindex`).at })),
    };
  });
}
