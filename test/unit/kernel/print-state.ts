import type { ChainRule } from "../../../provider/kernel/iptables";
import { compareText, type KernelObject, textOf } from "../../../provider/kernel/state";

/** A node as sorted text, each object as drift lines have it: what golden tests compare and what a person audits. */
export function printState(objects: readonly KernelObject[]): string {
  const chainRules = objects.filter((o): o is ChainRule => o.kind === "chain-rule");
  const rest = objects.filter((o) => o.kind !== "chain-rule").map(textOf);
  const ordered = [...chainRules].sort(
    (a, b) => compareText(`${a.table} ${a.chain}`, `${b.table} ${b.chain}`) || a.position - b.position,
  );
  return [...rest.sort(compareText), ...ordered.map(textOf)].map((line) => `${line}\n`).join("");
}
