import type { Address } from "./address";
import { rendezvous } from "./rendezvous";

/**
 * Which gateway node holds which egress IP: where it is fixed to, else where it is held if that node is still there,
 * else the node with the fewest addresses (equal ones by rendezvous hash). The order of `gateways` does not matter.
 * @throws Error if an address is fixed to a node that is none of `gateways`, or if there are no gateways.
 */
export function placeAddresses(
  ips: readonly Address[],
  gateways: readonly string[],
  fixed: Readonly<Record<Address, string>>,
  held: Readonly<Record<Address, string>>,
): Record<Address, string> {
  const placed = new Map<Address, string>();
  const load = new Map(gateways.map((name) => [name, 0]));
  const place = (ip: Address, node: string): void => {
    placed.set(ip, node);
    load.set(node, (load.get(node) ?? 0) + 1);
  };
  for (const ip of ips) {
    const node = fixed[ip] ?? held[ip];
    if (fixed[ip] !== undefined && !load.has(fixed[ip]))
      throw new Error(`${ip} is fixed to ${fixed[ip]}, which is no gateway node`);
    if (node !== undefined && load.has(node)) place(ip, node);
  }
  for (const ip of ips) {
    if (!placed.has(ip)) place(ip, rendezvous(ip, leastLoaded(load)));
  }
  return Object.fromEntries(ips.map((ip) => [ip, placed.get(ip) ?? ""]));
}

function leastLoaded(load: ReadonlyMap<string, number>): string[] {
  const least = Math.min(...load.values());
  return [...load].filter(([, count]) => count === least).map(([name]) => name);
}
