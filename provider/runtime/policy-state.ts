import type { EgressPolicyArgs } from "../model/args";
import type { FormerSelection, PolicyClaim } from "../model/claim";
import { normalizeDestinations, normalizeSources } from "../model/defaults";
import type { Label } from "./label";
import { canonical } from "./result";

/** An EgressPolicy as it is kept in state. */
export interface PolicyState extends EgressPolicyArgs {
  readonly label: Label;
  readonly ownerId: string;
  readonly egressIP: string;
}

/** A policy as it is to be, as state has it, and as each node has it: after an update that failed or was lost, these differ. */
export interface PolicyChange {
  readonly state: PolicyState;
  readonly recorded: PolicyState | undefined;
  /** Node → its claim. */
  readonly found: ReadonlyMap<string, PolicyClaim>;
}

/** The claim behind a state: the same on all nodes of its gateway. */
export function claimOf(state: PolicyState): PolicyClaim {
  const { destinations, except } = normalizeDestinations(state.destinations);
  return {
    kind: "policy",
    owner: { id: state.ownerId, ...state.label },
    gateway: state.gateway.id,
    sources: normalizeSources(state.sources),
    destinations,
    except,
    egressIP: state.egressIP,
    established: state.established ?? "keep",
  };
}

/** All that a claim selects: what it is to, and what it still does. */
export const selectionsOf = ({ also = [], ...claim }: PolicyClaim): FormerSelection[] =>
  [claim, ...also].map(selection);

const selection = ({ gateway, egressIP, sources, destinations, except }: FormerSelection): FormerSelection => ({
  gateway,
  egressIP,
  sources,
  destinations,
  except,
});

/** Whether all that `a` gives an address gets the same from `b`. Where destinations differ, nobody looks closer. */
export function selectsNoMore(a: FormerSelection, b: FormerSelection): boolean {
  return (
    besidesSources(a) === besidesSources(b) &&
    canonical(normalizeSources({ cidrs: [...a.sources, ...b.sources] })) === canonical(b.sources)
  );
}

/** What two selections must share for their sources to be compared. */
const besidesSources = ({ gateway, egressIP, destinations, except }: FormerSelection): string =>
  canonical([gateway, egressIP, destinations, except]);
