import { firstMeeting, rangesOf } from "../model/ranges";
import { type Selected, select, shared } from "../model/selection";
import type { PlacedPolicy } from "./view";

/**
 * Of those whose egress IP is here, those that another one selects as well, while changes are under way: what comes here
 * is translated, and what is chosen here may stay.
 */
export function contestedBy(here: readonly PlacedPolicy[], remote: readonly PlacedPolicy[]): PlacedPolicy[] {
  const elsewhere = rangesOf(remote.flatMap(({ policy }) => policy.sources));
  const close = here.filter(({ policy }) => firstMeeting(rangesOf(policy.sources), elsewhere));
  if (close.length === 0) return [];
  const others = remote.map(selectedBy);
  return close.filter((placed) => {
    const one = selectedBy(placed);
    return others.some((other) => shared(one, other));
  });
}

const selectedBy = ({ policy, gateway }: PlacedPolicy): Selected => select(policy, gateway.extraIgnore);
