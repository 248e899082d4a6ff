import { firstMeeting, rangesOf } from "../model/ranges";
import type { PlacedPolicy } from "./view";

/**
 * Of those whose egress IP is here, those that another one may select as well, while changes are under way: what comes here
 * is translated, and what is chosen here may stay.
 */
export function contestedBy(here: readonly PlacedPolicy[], remote: readonly PlacedPolicy[]): PlacedPolicy[] {
  if (here.length === 0 || remote.length === 0) return [];
  const elsewhere = rangesOf(remote.flatMap(({ policy }) => policy.sources));
  const isShared = (a: readonly string[], b: readonly string[]): boolean =>
    firstMeeting(rangesOf(a), rangesOf(b)) !== undefined;
  return here.filter(
    (one) =>
      firstMeeting(rangesOf(one.policy.sources), elsewhere) !== undefined &&
      remote.some(
        (other) =>
          isShared(one.policy.sources, other.policy.sources) &&
          isShared(one.destinations.match, other.destinations.match),
      ),
  );
}
