import * as path from "node:path";
import {
  type NodeRole,
  nodeAddress,
  nodeNumber,
  nodePodCIDR,
  outsideAddress,
  outsidePorts,
  plan,
  podAddress,
  podPorts,
  services,
} from "./address-plan";
import type { LabOptions } from "./options";

export interface Ssh {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyPath: string;
  readonly knownHostsPath: string;
}

export interface LabHost {
  readonly name: string;
  readonly role: "operator" | "switch" | "router" | "client" | "gateway" | "outside";
  readonly namespace: string;
  readonly addresses: readonly string[];
}

/** A Kubernetes node: the only kind of host with an sshd and mounts of its own. */
export interface LabNode extends LabHost {
  readonly role: NodeRole;
  readonly number: number;
  readonly uplink: "eth0";
  readonly underlayIP: string;
  readonly podCIDR: string;
  readonly ssh: Ssh;
}

interface Answering {
  readonly address: string;
  readonly ports: { readonly tcp: number; readonly udp: number; readonly http: number };
  /** JSON lines, one for each connection, datagram, request and echo that arrived. */
  readonly log: string;
}

export interface LabOutside extends LabHost, Answering {
  readonly role: "outside";
}

export interface LabPod extends Answering {
  readonly name: string;
  readonly node: string;
  readonly index: number;
  readonly namespace: string;
}

/** A lab as data: what `status --json` prints, and what every function here takes. */
export interface Lab {
  readonly name: string;
  readonly state: "booting" | "up";
  readonly directory: string;
  readonly options: LabOptions;
  readonly hosts: readonly LabHost[];
  readonly nodes: readonly LabNode[];
  readonly pods: readonly LabPod[];
  readonly outside: readonly LabOutside[];
  readonly egressPool: { readonly first: string; readonly last: string };
  readonly ranges: {
    readonly pods: string;
    readonly nodes: string;
    readonly services: string;
    readonly loadBalancers: string;
  };
  readonly services: typeof services;
}

const podsPerClient = 2;
const podsPerGateway = 1;

export function namespaceOf(lab: string, host: string): string {
  return `egw-${lab}-${host}`;
}

/** Every host, pod and address that these options ask for. Pure. */
export function topologyOf(options: LabOptions, directory: string): Lab {
  const plain = (role: LabHost["role"], addresses: string[]): LabHost => ({
    name: role,
    role,
    namespace: namespaceOf(options.name, role),
    addresses,
  });
  const nodes = [
    ...upTo(options.clients).map((index) => nodeOf(options, directory, "client", index)),
    ...upTo(options.gateways).map((index) => nodeOf(options, directory, "gateway", index)),
  ];
  const outside = upTo(2).map((index) => outsideOf(options, directory, index));
  const routerAddresses = [plan.router, ...upTo(2).map((index) => outsideAddress(index).router)];
  return {
    name: options.name,
    state: "booting",
    directory,
    options,
    hosts: [
      plain("operator", [plan.operator]),
      plain("switch", []),
      plain("router", routerAddresses),
      ...nodes,
      ...outside,
    ],
    nodes,
    pods: nodes.flatMap((node) => podsOf(options, directory, node)),
    outside,
    egressPool: plan.egressPool,
    ranges: {
      pods: plan.podCIDR,
      nodes: plan.underlayCIDR,
      services: plan.serviceCIDR,
      loadBalancers: plan.loadBalancerCIDR,
    },
    services,
  };
}

function nodeOf(options: LabOptions, directory: string, role: NodeRole, index: number): LabNode {
  const name = `${role}-${index}`;
  const underlayIP = nodeAddress(role, index);
  const number = nodeNumber(role, index);
  const ssh: Ssh = {
    host: underlayIP,
    port: 22,
    user: "root",
    keyPath: path.join(directory, "operator", "id_ed25519"),
    knownHostsPath: path.join(directory, "operator", "known_hosts"),
  };
  return {
    name,
    role,
    namespace: namespaceOf(options.name, name),
    addresses: [underlayIP],
    number,
    uplink: "eth0",
    underlayIP,
    podCIDR: nodePodCIDR(number),
    ssh,
  };
}

function podsOf(options: LabOptions, directory: string, node: LabNode): LabPod[] {
  return upTo(node.role === "client" ? podsPerClient : podsPerGateway).map((index) => {
    const name = `pod-${node.name}-${index}`;
    return {
      name,
      node: node.name,
      index,
      namespace: namespaceOf(options.name, name),
      address: podAddress(node.number, index),
      ports: podPorts,
      log: path.join(directory, "log", `${name}.jsonl`),
    };
  });
}

function outsideOf(options: LabOptions, directory: string, index: number): LabOutside {
  const name = `outside-${index}`;
  const address = outsideAddress(index).host;
  return {
    name,
    role: "outside",
    namespace: namespaceOf(options.name, name),
    addresses: [address],
    address,
    ports: outsidePorts,
    log: path.join(directory, "log", `${name}.jsonl`),
  };
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
