import { availableParallelism } from "node:os";
import type { Busy } from "../cpu";
import { median } from "../statistics";

/** Pod, nodes, router and outside are all this machine: its cores were full, or something else was in the way. */
export function boundOf(flows: readonly ({ readonly busy: Busy } | undefined)[]): string {
  const busy = flows.flatMap((flow) => (flow ? [flow.busy] : []));
  const all = median(busy.map((one) => one.all));
  const most = median(busy.map((one) => one.most));
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  if (all > 0.9) return `CPU: all ${availableParallelism()} cores ${percent(all)} busy`;
  if (most > 0.9) return `CPU of one core: ${percent(most)} busy, all ${percent(all)}`;
  return `latency: cores ${percent(all)} busy`;
}
