import type { NodeRef } from "../../../provider/model/args";
import type { Claim, FleetSettings } from "../../../provider/model/claim";
import { normalizeFleet } from "../../../provider/model/defaults";
import type { HostFacts } from "../../../provider/runtime/host-facts";
import type { Looked } from "../../../provider/runtime/look";
import type { NodeFile, Snapshot } from "../../../provider/runtime/snapshot";

export const ignore = { pods: ["10.0.0.0/16"], services: ["10.96.0.0/16"], nodes: ["192.0.2.0/24"] };

/** The settings of fleet `lab`. */
export function settings(tables: { start: number; count: number } = { start: 3000, count: 100 }): FleetSettings {
  return normalizeFleet({ name: "lab", registry: { node: "n1", connection: { host: "192.0.2.91" } }, ignore, tables });
}

/** The nodes `n1` to `n<count>` of fleet `lab`. */
export function nodes(count: number): NodeRef[] {
  return Array.from({ length: count }, (_, i) => ({
    node: `n${i + 1}`,
    fleet: "lab",
    index: i + 1,
    underlayIP: `192.0.2.${91 + i}`,
    uplink: "eth0",
    ignore: settings().ignore,
    registry: { node: "n1", connection: { host: "192.0.2.91" } },
    connection: { host: `192.0.2.${91 + i}` },
  }));
}

/** A host on which nothing stands in the way, but for what is given: one device and a way out by it. */
export function hostOf(change: Partial<HostFacts> = {}): HostFacts {
  return {
    kernel: "6.18",
    hostname: "host",
    missingTools: [],
    unfit: [],
    srcValidMark: false,
    ipForward: true,
    dropPolicies: [],
    addresses: [],
    mtus: { eth0: 1500 },
    notEthernet: new Map(),
    routes: ["default via 192.0.2.254 dev eth0"],
    rules: [],
    tables: new Set(),
    filters: [],
    taken: [],
    verdicts: new Map(),
    udpPorts: new Set(),
    ...change,
  };
}

/** A node as seen: these claims, routes in the main table, addresses of its own, tables that others use, tables of its own legs. */
export function seen({
  claims = [],
  actual = [],
  routes,
  addresses = [],
  used = [],
  tables,
}: {
  claims?: readonly Claim[];
  actual?: Snapshot["actual"];
  routes?: readonly string[];
  addresses?: HostFacts["addresses"];
  used?: readonly number[];
  tables?: Readonly<Record<string, number>>;
}): Looked {
  const host = hostOf({ addresses, tables: new Set(used), ...(routes && { routes }) });
  const node: NodeFile | undefined = tables && { version: 1, tables, dropPolicies: [], podDevices: [], restore: {} };
  const files = { there: new Map<string, string>(), recorded: new Map<string, string>() };
  const rest = {
    generation: 1,
    files,
    actual,
    isAsRecorded: true,
    isManifestWhole: true,
    misread: [],
    registry: new Map(),
  };
  return { snapshot: { ...rest, node, claims, host } };
}

export const unreachable = (name: string): Looked => ({ error: new Error(`node ${name}: refused the connection`) });
