/**
 * One call of one tool on the node. `input` is what the tool reads; `undo` brings back what was there before,
 * and may be run whether the step was done whole, in part, or not at all.
 */
export interface Step {
  readonly tool: "ip" | "sysctl" | "ipset" | "iptables" | "arping" | "bpf-map" | "bpf-entry" | "bpf-program" | "tc";
  readonly input: readonly string[];
  readonly undo: readonly string[];
  /** What programs carry goes on until it is cut: they go when that is done. */
  readonly isAfterCuts?: true;
}

/** No step at all where there is nothing to do. */
export function step(tool: Step["tool"], input: readonly string[], undo: readonly string[]): Step[] {
  return input.length === 0 ? [] : [{ tool, input, undo }];
}
