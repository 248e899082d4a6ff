import { gzipSync } from "node:zlib";
import { constantsOf, programHash } from "../compile/bpf";
import { connectionObjects } from "../compile/bpf-connections";
import { OBJECTS, type ObjectName, write } from "../kernel/bpf-layout";
import { constantAt, withConstants } from "../kernel/bpf-object";
import type { BpfProgram } from "../kernel/bpf-program";
import type { Claim, NodeClaim } from "../model/claim";
import type { ProgramObject } from "../program/apply";
import type { Step } from "../reconcile/step";
import { objectDigests, programsOf } from "../transport/programs";

/** Letters of base64 a line. */
const LINE = 76;
/** Constants that are put in on the node, by the words of its loader. */
const ON_NODE = { tunnel: "tunnel_ifindex", uplink: "uplink_ifindex", aggregates: "take_aggregates" } as const;
const OF_OBJECT = { client: ["tunnel"], gateway: ["tunnel", "uplink", "aggregates"], connections: [] } as const;

/**
 * The objects that a batch or its undo loads, with all constants but the numbers of the node's devices. `claims`: those that the node
 * gets and those that it has; `kept`: programs whose objects it has to have again, for the next boot; an object that comes of neither (of another version of the package) can't be loaded by an undo.
 * @throws Error where the package has no such object.
 */
export function objectsOf(
  steps: readonly Step[],
  claims: readonly Claim[],
  kept: readonly BpfProgram[] = [],
): ProgramObject[] {
  const lines = steps.flatMap(({ tool, input, undo }) => (tool === "bpf-program" ? [...input, ...undo] : []));
  const loads = new Set([
    ...lines.filter((line) => line.startsWith("load ")).map((line) => line.split(" ", 3).join(" ")),
    ...kept.map(({ object, hash }) => `load ${object} ${hash}`),
  ]);
  if (loads.size === 0) return [];
  const digests = objectDigests();
  const nodes = claims.filter((claim): claim is NodeClaim => claim.kind === "node");
  return (Object.keys(OBJECTS) as ObjectName[]).flatMap((name) => {
    const byHash = nodes.flatMap((node) =>
      name === "connections"
        ? [...connectionObjects(node, claims, digests)]
        : [[programHash(name, node, digests), constantsOf(node)] as const],
    );
    return [...new Map(byHash)]
      .filter(([hash]) => loads.has(`load ${name} ${hash}`))
      .map(([hash, constants]) => objectOf(name, hash, constants));
  });
}

/** The devices whose numbers an object needs, and where the node puts each. */
export const devicesIn = (name: ObjectName, object: Buffer): ProgramObject["devices"] =>
  OF_OBJECT[name].map((device) => ({ device, at: constantAt(object, ON_NODE[device]).at }));

function objectOf(name: ObjectName, hash: string, values: ReturnType<typeof constantsOf>): ProgramObject {
  const constants = Object.entries(values).map(([constant, { type, value }]) => [constant, write(type, value)]);
  const object = withConstants(programsOf(name), Object.fromEntries(constants));
  const text = gzipSync(object, { level: 9 }).toString("base64");
  return {
    name,
    hash,
    lines: text.match(new RegExp(`.{1,${LINE}}`, "g")) ?? [],
    devices: devicesIn(name, object),
  };
}
