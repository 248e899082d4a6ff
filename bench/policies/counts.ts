import type { TransportCounters } from "../../provider/transport/transport";
import { execOk, type Lab } from "../../test/lab";
import { Operator } from "../../test/operator/operator";
import { fleetOf, gatewayOf, policyOf } from "../../test/operator/program";
import { type Declared, Stack } from "../../test/operator/stack";
import type { Plan } from "./plan";

/** What one run of the engine sent to each node and got from it, counted exactly by the provider's transport. */
export type NodeCounts = Readonly<Record<string, TransportCounters>>;

export interface Counts {
  readonly up: NodeCounts;
  readonly preview: NodeCounts;
  readonly previewSeconds: number;
  /** Resources that the clean preview would change: none, or something is wrong. */
  readonly changed: readonly string[];
}

/** The same program in this process's own engine over the same SSH: the CLI does not tell what its provider sends. */
export async function countRoundTrips(lab: Lab, plan: Plan): Promise<Counts> {
  const operator = Operator.start(lab);
  try {
    const stack = new Stack(operator);
    const program = programOf(lab, plan);
    await stack.up(program);
    const up = await countsOf(lab, operator);
    const began = Date.now();
    const planned = await stack.preview(program);
    const previewSeconds = (Date.now() - began) / 1000;
    const preview = await countsOf(lab, operator);
    await stack.destroy();
    const changed = planned.flatMap(({ name, change }) => (change === "same" ? [] : [name]));
    return { up, preview, previewSeconds, changed };
  } finally {
    await operator.stop();
  }
}

/** Batches that each node has run since it was enrolled, as its own manifest says. */
export async function batchesOf(lab: Lab): Promise<Readonly<Record<string, number>>> {
  const entries = lab.nodes.map(async ({ name }) => {
    const text = await execOk(lab, name, ["cat", "/var/lib/pulumi-egress/generation"]);
    return [name, Number(text)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

function programOf(lab: Lab, plan: Plan): Declared[] {
  return [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", plan.egressIPs),
    ...plan.policies.map(({ name, sources, ...rest }) => policyOf(name, "gateway", sources.cidrs, rest)),
  ];
}

async function countsOf(lab: Lab, operator: Operator): Promise<NodeCounts> {
  const entries = lab.nodes.map(
    async ({ name }) => [name, await operator.call<TransportCounters>("own", "counters", name)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}
