import type { Batch } from "../program/apply";
import type { Sections } from "../program/frame";
import { NodeError } from "../transport/errors";

/** Why a batch was not done, from what the node said: the tool, the line that it refused, and whether all is as before. */
export function failureOf(node: string, batch: Batch, sections: Sections): NodeError {
  const failed = sections.get("failed");
  if (failed === undefined)
    return new NodeError(node, "rejected", "the batch gave no answer; what it changed is not known");
  const [head = "", ...rest] = failed.trim().split("\n");
  const [index, tool = "step"] = head.split(" ");
  // Connections are ended behind the last step: what fails there is no line of any.
  const step = batch.steps[Number(index)];
  const input = step?.tool === tool ? step.input : [];
  const line = Number(
    /line:? (\d+)|Command failed \S*:(\d+)/
      .exec(failed)
      ?.slice(1)
      .find((n) => n !== undefined) ?? 0,
  );
  const refused = input[line - 1];
  const at = refused === undefined ? "" : ` line ${line} ${JSON.stringify(refused)}`;
  const outcome = sections.has("rolled-back")
    ? "Nothing was changed."
    : `What was done could not be undone: ${(sections.get("not-rolled-back") ?? "").trim()}`;
  return new NodeError(node, "rejected", `${tool}${at} failed: ${rest.join(" ").trim()}. ${outcome}`);
}
