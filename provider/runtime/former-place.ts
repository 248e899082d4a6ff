import type { NodeMarkArgs, Problem } from "../model/args";
import { quote } from "../model/problem";
import { session } from "./context";
import { look } from "./look";
import { isEnrolledBy } from "./node-mark-problems";
import type { NodeMarkState } from "./node-mark-state";
import type { Snapshot } from "./snapshot";

/**
 * A pod that the NodeMark is about no more, since its connection now names another one, though it is there with all that is
 * ours: nobody would come to it again. What a machine keeps of one that is gone goes by itself. Another `host` of a machine is
 * not asked: it may be another way to the same one, or the old one be gone for good.
 */
export async function formerPlaceProblems(
  held: NodeMarkState | undefined,
  args: NodeMarkArgs,
  now: Snapshot | undefined,
): Promise<Problem[]> {
  const netns = held?.connection.netns;
  if (!held || netns === undefined || !now || isEnrolledBy(now, held.ownerId)) return [];
  const { snapshot } = await look(session(held.node, held.connection));
  if (!isEnrolledBy(snapshot, held.ownerId)) return [];
  const message = `node ${quote(args.node)} is still programmed in network namespace ${quote(netns)} of ${held.connection.host}, and nobody would take that down. Run again when that pod is gone, or take the node out of its gateways and destroy its NodeMark first.`;
  return [{ path: "connection.netns", message }];
}
