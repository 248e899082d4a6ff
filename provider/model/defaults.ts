import { type Address, type Cidr, canonicalCidr, minimalCover, parseAddressRange } from "./address";
import type { EgressPolicyArgs, FleetArgs } from "./args";
import type { FleetSettings } from "./claim";

export const DEFAULT_TUNNEL_CIDR = "100.126.0.0/16";
const DEFAULT_TABLES = { start: 3000, count: 100 } as const;

/** The settings of a fleet with all defaults, equal for all ways to write the same. For validated input. */
export function normalizeFleet(args: FleetArgs): FleetSettings {
  const { pods, services, nodes, extra = [] } = args.ignore;
  return {
    name: args.name,
    ignore: minimalCover([...pods, ...services, ...nodes, ...extra]),
    tunnelPort: args.tunnelPort ?? 4790,
    vni: args.vni ?? 4097,
    tunnelCIDR: canonicalCidr(args.tunnelCIDR ?? DEFAULT_TUNNEL_CIDR),
    tables: { start: args.tables?.start ?? DEFAULT_TABLES.start, count: args.tables?.count ?? DEFAULT_TABLES.count },
    rulePreference: args.rulePreference ?? 5000,
  };
}

/** The addresses of all ranges in the order in which they are written, each once. For validated input. */
export function expandEgressIPs(ranges: readonly string[]): Address[] {
  return [...new Set(ranges.flatMap((range) => parseAddressRange(range) ?? refuse(range)))];
}

/** The sources of a policy: canonical, sorted, none inside another. */
export function normalizeSources(sources: EgressPolicyArgs["sources"]): Cidr[] {
  return minimalCover(sources.cidrs);
}

/** The destinations of a policy, the same way. No destinations: everything outside ignore. */
export function normalizeDestinations(destinations: EgressPolicyArgs["destinations"]): {
  destinations: Cidr[];
  except: Cidr[];
} {
  return { destinations: minimalCover(destinations?.cidrs ?? []), except: minimalCover(destinations?.except ?? []) };
}

function refuse(range: string): never {
  throw new Error(`not an IPv4 address or range: ${JSON.stringify(range)}`);
}
