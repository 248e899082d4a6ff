import { HOOKS, VERDICTS } from "../kernel/bpf-layout";
import type { Looked } from "./look";
import { devicesLeftOut, podDevices } from "./pod-devices";
import type { Snapshot } from "./snapshot";

/** What the programs on each node have and have done: entries, pods' devices with and without a program, drops by reason. */
export function programReport(name: string, looked: ReadonlyMap<string, Looked>): string[] {
  return [...looked].flatMap(([node, { snapshot }]) => {
    const words = snapshot && reportOf(snapshot);
    return words ? [`gateway ${name}: node ${node}: ${words}`] : [];
  });
}

function reportOf(snapshot: Snapshot): string | undefined {
  const { claims, host, actual } = snapshot;
  const entries = (map: string): number => actual.filter((o) => o.kind === "bpf-entry" && o.map === map).length;
  if (!actual.some(({ kind }) => kind === "bpf-program")) return undefined;
  const attached = new Set(
    actual.flatMap((o) => (o.kind === "tc-filter" && o.program === "from_pod" ? [o.device] : [])),
  );
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
    ...dropsOf(host.verdicts),
  ].join("; ");
}

/** `dropped at from-client: drop-no-port 3` */
function dropsOf(verdicts: Snapshot["host"]["verdicts"]): string[] {
  return HOOKS.flatMap((hook, i) => {
    const drops = VERDICTS.flatMap((verdict, j) => {
      const count = verdicts.get(i * VERDICTS.length + j) ?? 0;
      return verdict.startsWith("drop-") && count > 0 ? [`${verdict} ${count}`] : [];
    });
    return drops.length === 0 ? [] : [`dropped at ${hook}: ${drops.join(", ")}`];
  });
}
