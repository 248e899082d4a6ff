import type { Lab } from "../../test/lab";

/** How many policies, and how large each. */
export interface Size {
  readonly policies: number;
  readonly sources: number;
  readonly destinations: number;
}

export interface PolicyArgs {
  readonly name: string;
  readonly sources: { readonly cidrs: readonly string[] };
  readonly destinations: { readonly cidrs: readonly string[] };
  readonly egressIP: string;
}

/** What both programs read as plan.json. */
export interface Plan {
  readonly fleet: Readonly<Record<string, unknown>>;
  readonly gateways: readonly string[];
  readonly clients: readonly string[];
  readonly egressIPs: readonly string[];
  readonly policies: readonly PolicyArgs[];
}

const egressIPs = ["192.168.0.200", "192.168.0.201", "192.168.0.202", "192.168.0.203"];

/** The same fleet, gateway and policies for both programs and for the in-process count. Pure. */
export function planOf(lab: Lab, size: Size): Plan {
  const named = (role: string): string[] => lab.nodes.filter((node) => node.role === role).map(({ name }) => name);
  const [first] = lab.nodes;
  if (!first) throw new Error("a lab without nodes");
  return {
    fleet: {
      connection: { privateKey: `file:${first.ssh.keyPath}`, knownHosts: first.ssh.knownHostsPath },
      ignore: { pods: [lab.ranges.pods], services: [lab.ranges.services], nodes: [lab.ranges.nodes] },
      nodes: Object.fromEntries(lab.nodes.map(({ name, underlayIP }) => [name, { underlayIP }])),
    },
    gateways: named("gateway"),
    clients: named("client"),
    egressIPs,
    policies: Array.from({ length: size.policies }, (_, i) => policyOf(i, size)),
  };
}

/** Every second address and every second network, so that none can be joined with its neighbour. */
function policyOf(index: number, { sources, destinations }: Size): PolicyArgs {
  const pod = (n: number): string => `10.0.${(2 * n) >> 8}.${(2 * n) & 255}`;
  const network = (n: number): string => `198.${18 + (n >> 13)}.${(n >> 5) & 255}.${(n & 31) << 3}/30`;
  return {
    name: `policy-${String(index).padStart(4, "0")}`,
    sources: { cidrs: numbers(sources).map((n) => pod(index * sources + n)) },
    destinations: { cidrs: numbers(destinations).map((n) => network(index * destinations + n)) },
    egressIP: egressIPs[index % egressIPs.length] ?? "",
  };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
