import { hasPrograms } from "../compile/bpf";
import { HOOKS, VERDICTS } from "../kernel/bpf-layout";
import type { GatewayState } from "./gateway-state";
import { claimOnce } from "./known-gateway";
import type { Looked } from "./look";
import { devicesLeftOut, podDevices } from "./pod-devices";
import type { Snapshot } from "./snapshot";

/**
 * What the programs on each node have and have done: entries, pods' devices without a program, drops by reason, and what was left to
 * the stack for want of a gateway, which drops what was not open before. Or that no program carries anything.
 */
export function programReport(state: GatewayState, looked: ReadonlyMap<string, Looked>): string[] {
  const { name } = state.label;
  const idle = `gateway ${name}: no program carries its packets: with answers "cluster" all take the stack, as with datapath "iptables"`;
  const nodes = [...looked].flatMap(([node, { snapshot }]) => {
    const words = snapshot && reportOf(snapshot);
    return words ? [`gateway ${name}: node ${node}: ${words}`] : [];
  });
  return [...(hasPrograms(claimOnce(state)) ? [] : [idle]), ...nodes];
}

function reportOf(snapshot: Snapshot): string | undefined {
  const { claims, host, actual } = snapshot;
  const entries = (map: string): number => actual.filter((o) => o.kind === "bpf-entry" && o.map === map).length;
  if (!actual.some(({ kind }) => kind === "bpf-program")) return undefined;
  const attached = new Set(
    actual.flatMap((o) => (o.kind === "tc-filter" && o.program === "from_pod" ? [o.device] : [])),
  );
  const ours = new Set(actual.flatMap((o) => (o.kind === "tc-filter" ? [`${o.device} ${o.direction}`] : [])));
  const ahead = host.filters
    .map(({ isFirst, name, device, direction }) => ({ isFirst, name, hook: `${device} ${direction}` }))
    .flatMap(({ isFirst, name, hook }) => (isFirst && ours.has(hook) ? [`${name} (${hook})`] : []));
  const hasClient = actual.some((o) => o.kind === "bpf-program" && o.object === "client");
  const slow = hasClient
    ? [
        ...podDevices(claims, host).filter((device) => !attached.has(device)),
        ...devicesLeftOut(claims, host).map(([device, why]) => `${device} (${why})`),
      ]
    : [];
  return [
    `${entries("egw_policies")} policy entries, ${entries("egw_sources")} source networks`,
    ...(slow.length > 0 ? [`not accelerated: ${slow.join(", ")}`] : []),
    ...(ahead.length > 0 ? [`before ours, where no filter of ours can be: ${ahead.join(", ")}`] : []),
    ...closedOf(host.verdicts),
  ].join("; ");
}

/** The stack sends by the tunnel what goes to gateways without programs too: for want of one it is what a pod's program says. */
const isClosed = (hook: string, verdict: string): boolean =>
  verdict.startsWith("drop-") || (hook === "from-pod" && verdict === "stack-no-gateway");

/** `at from-client: drop-no-port 3` */
function closedOf(verdicts: Snapshot["host"]["verdicts"]): string[] {
  return HOOKS.flatMap((hook, i) => {
    const counts = VERDICTS.flatMap((verdict, j) => {
      const count = verdicts.get(i * VERDICTS.length + j) ?? 0;
      return isClosed(hook, verdict) && count > 0 ? [`${verdict} ${count}`] : [];
    });
    return counts.length === 0 ? [] : [`at ${hook}: ${counts.join(", ")}`];
  });
}
