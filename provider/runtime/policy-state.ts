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

/** A policy as it was, if it was, and as it is to be. */
export interface PolicyChange {
  readonly before: PolicyState | undefined;
  readonly state: PolicyState;
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

/** What two selections must share for their sources to be compared. */
export const besidesSources = ({ gateway, egressIP, destinations, except }: FormerSelection): string =>
  canonical([gateway, egressIP, destinations, except]);

/** A policy as nodes have it that no state knows of. */
export const asLeft = (state: PolicyState, claim: PolicyClaim | undefined): PolicyState | undefined =>
  claim && withSelection(state, claim);

/**
 * A policy as state has it, with what nodes have of it besides: what an update that failed has selected on some of them,
 * or what one that came to its end was yet to let go of, where this one (`next`) selects by the same.
 */
export function asFound(state: PolicyState, next: PolicyState, claims: readonly PolicyClaim[]): PolicyState {
  const [known, wanted] = [state, next].map((one) => besidesSources(claimOf(one)));
  const owing = claims.find((claim) => claim.also && besidesSources(claim) === known && known === wanted);
  const before = owing?.also ? withSelection(state, owing.also) : state;
  const selections = claims.flatMap((claim): FormerSelection[] => [claim, claim.also ?? []].flat());
  const found = selections.filter((one) => besidesSources(one) === besidesSources(claimOf(before)));
  const sources = found.flatMap((one) => one.sources);
  return {
    ...before,
    sources: { cidrs: normalizeSources({ cidrs: [...normalizeSources(before.sources), ...sources] }) },
  };
}

const withSelection = (state: PolicyState, selection: FormerSelection): PolicyState => ({
  ...state,
  gateway: { ...state.gateway, id: selection.gateway },
  sources: { cidrs: selection.sources },
  destinations: { cidrs: selection.destinations, except: selection.except },
  egressIP: selection.egressIP,
});
