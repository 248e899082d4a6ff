import type { Lab } from "../lab";
import { run } from "../lab/run";

/** Pulls the cable between a node and the switch while something is done, then puts it back. */
export async function pullCable<T>(lab: Lab, node: string, act: () => Promise<T>): Promise<T> {
  const cable = (state: "up" | "down") =>
    run(["ip", "-n", `egw-${lab.name}-switch`, "link", "set", `p-${node}`, state]);
  await cable("down");
  try {
    return await act();
  } finally {
    await cable("up");
    // What was asked while the cable was out is remembered as failed for a while.
    for (const { namespace, role } of lab.hosts)
      if (role !== "switch") await run(["ip", "-n", namespace, "neigh", "flush", "all"]);
  }
}
