import type { EgressGatewayArgs, NodeRef, Problem } from "../model/args";
import type { ConnectionRef } from "../model/connection";
import { quote } from "../model/problem";
import { sharedDevice } from "./carried-pods";
import { knownSessions } from "./context";
import { fleetOf, nodesOf } from "./gateway-state";
import type { Looked } from "./look";
import { inner, memory } from "./run-memory";

/** Egress IP → the gateway pod whose own address it is; one that none has (any more) stays where it was, or is left out. */
export function podsWith(
  ips: readonly string[],
  pods: readonly NodeRef[],
  looked: ReadonlyMap<string, Looked>,
  former: Readonly<Record<string, string>>,
): Record<string, string> {
  const holderOf = (ip: string): string | undefined =>
    pods.find((pod) => pod.underlayIP === ip || addressesOf(pod, looked)?.includes(ip))?.node ??
    pods.find(({ node }) => node === former[ip])?.node;
  return Object.fromEntries(ips.flatMap((ip) => [[ip, holderOf(ip)]].filter((pair) => pair[1] !== undefined)));
}

/** Of the uplink of a pod that could be seen. */
function addressesOf({ node, uplink }: NodeRef, looked: ReadonlyMap<string, Looked>): string[] | undefined {
  const addresses = looked.get(node)?.snapshot?.host.addresses;
  return addresses?.flatMap(({ device, cidr }) => (device === uplink ? (cidr.split("/")[0] ?? []) : []));
}

/** What a gateway whose gateways are pods can't be: its IPs are the pods' own, and who runs a pod has to let its packets by. */
export function podProblems(
  args: EgressGatewayArgs,
  ips: readonly string[],
  placement: Readonly<Record<string, string>>,
  looked: ReadonlyMap<string, Looked>,
): Problem[] {
  if (args.placement !== "pod") return [];
  const pods = args.gateways;
  const missing = ips.filter((ip) => {
    const holder = pods.find(({ node }) => node === placement[ip]);
    return !holder || addressesOf(holder, looked)?.includes(ip) === false;
  });
  const all = pods.map((pod) => {
    const addresses = addressesOf(pod, looked);
    return `${pod.node} has ${addresses ? `${addresses.join(", ")} on ${pod.uplink}` : "not been seen"}`;
  });
  return [
    ...missing.map((ip) => ({
      path: "egressIPs",
      message: `${ip} is no address of a gateway pod on its uplink: ${all.join("; ")}. Give the pods' own addresses.`,
    })),
    ...machineProblems(args),
    ...sharingProblems(args, looked),
  ];
}

/** A machine of the fleet lets nobody forward to the tunnel's port but the pods of gateways that it has to do with. */
function machineProblems(args: EgressGatewayArgs): Problem[] {
  const nodes = nodesOf(args);
  return args.gateways.flatMap(({ node, connection }, i): Problem[] => {
    if (nodes.some((other) => isMachineOf(connection, other.connection))) return [];
    const machine = enrolledMachineOf(connection, fleetOf(args));
    if (machine !== undefined) {
      const message = `pod ${quote(node)} is run by node ${quote(machine)}, which is enrolled and would drop what comes to the pod by the tunnel. Add it to clients.`;
      return [{ path: `gateways[${i}]`, message }];
    }
    const message = `the machine that runs pod ${quote(node)} (${connection.host}) has to keep the pod's address on what it sends. Enrol it, and add it to clients.`;
    return [{ path: `gateways[${i}]`, message }];
  });
}

/** The programs that tell a gateway pod's connections apart take all that comes by its device for the pod's. */
function sharingProblems(args: EgressGatewayArgs, looked: ReadonlyMap<string, Looked>): Problem[] {
  if (args.answers !== "cluster" || args.datapath !== "bpf") return [];
  return args.gateways.flatMap(({ node, connection, underlayIP }, i): Problem[] => {
    const machine = nodesOf(args).find((other) => isMachineOf(connection, other.connection));
    const host = machine && looked.get(machine.node)?.snapshot?.host;
    const shared = host && sharedDevice(underlayIP, machine.uplink, host);
    if (!shared) return [];
    const message = `pod ${quote(node)} shares a device with others on ${quote(machine.node)} (${shared}), whose packets the programs would drop. Give it a device of its own, or choose answers "tunnel" or datapath "iptables".`;
    return [{ path: `gateways[${i}]`, message }];
  });
}

/** Whether a connection reaches the machine that another one finds a pod on. */
export const isMachineOf = (pod: ConnectionRef, other: ConnectionRef): boolean =>
  other.netns === undefined && machineOf(pod) === machineOf(other);

const machineOf = ({ host, port, proxy }: ConnectionRef): string =>
  JSON.stringify([host, port ?? 22, proxy?.host, proxy?.port ?? 22]);

/** A NodeMark of this run, or one that the machine knows of. */
function enrolledMachineOf(pod: ConnectionRef, fleet: string): string | undefined {
  const ofRun = new Set(inner(memory.marks, fleet).values());
  return knownSessions().find(
    ({ name, connection, seen }) =>
      isMachineOf(pod, connection) &&
      (ofRun.has(name) || seen?.claims.some((claim) => claim.kind === "node" && claim.fleet.name === fleet)),
  )?.name;
}
