import { createHash } from "node:crypto";

/** Every name that the kernel sees is made here. */
export const TUNNEL = "egw.vxlan";
export const PEERS = "egw-peers";
export const IGNORE = "egw-ignore";
/** What the guards take for ignored: doubled, as the sets of policies are. */
export const GUARD_IGNORE = "egw-g-ignore";
export const EGRESS_ADDRESSES = "egw-addresses";
/** Connections that were cut: {source, source port, destination}, gone by themselves when conntrack would have forgotten them. */
export const CUT = "egw-cut";
/** Seconds: nf_conntrack_tcp_timeout_established's default. */
export const CUT_TIMEOUT = 432000;
/** Connections that were cut while they opened, and would open by another source: the same, for as long as a SYN is repeated. */
export const CUT_OPENING = "egw-cut-opening";
/** Seconds: Linux gives up after 6 repetitions (kernel: tcp_syn_retries), 127 s. */
export const CUT_OPENING_TIMEOUT = 130;

export const CHAINS = {
  choose: "EGRESSGATEWAY-CHOOSE",
  markRequest: "EGRESSGATEWAY-MARK-REQUEST",
  peer: "EGRESSGATEWAY-PEER",
  answer: "EGRESSGATEWAY-ANSWER",
  admit: "EGRESSGATEWAY-ADMIT",
  admitGuard: "EGRESSGATEWAY-ADMIT-GUARD",
  resetMark: "EGRESSGATEWAY-RESET-MARK",
  guard: "EGRESSGATEWAY-GUARD",
  stray: "EGRESSGATEWAY-STRAY",
  keepMark: "EGRESSGATEWAY-KEEP-MARK",
  noSnat: "EGRESSGATEWAY-NO-SNAT",
  snat: "EGRESSGATEWAY-SNAT-EIP",
  snatBackup: "EGRESSGATEWAY-SNAT-BACKUP",
  tunnel: "EGRESSGATEWAY-TUNNEL",
  cut: "EGRESSGATEWAY-CUT",
  keep: "EGRESSGATEWAY-KEEP",
} as const;

/** The four sets of a policy. Sets are doubled so that no single loss lets a selected packet out by another source. */
export interface PolicySets {
  readonly source: string;
  readonly destination: string;
  readonly guardSource: string;
  readonly guardDestination: string;
}

/**
 * ipset allows 31 characters, so sets are named by a hash: of the policy's owner, its egress IP and its destinations.
 * A policy that gets others of these gets new sets, which its rules take up in one commit; in a set that stays only sources
 * come and go, so no moment's sources and destinations together are a pair that nobody selected.
 */
export function policySets(ownerId: string, egressIP: string, destinations: readonly string[]): PolicySets {
  const hash = shortHash([ownerId, egressIP, ...destinations].join("\n"));
  return {
    source: `egw-s-${hash}`,
    destination: `egw-d-${hash}`,
    guardSource: `egw-gs-${hash}`,
    guardDestination: `egw-gd-${hash}`,
  };
}

/** The comment on every rule of a policy. */
export const policyComment = (ownerId: string): string => `-m comment --comment egw-${shortHash(ownerId)}`;

export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 10);
}
