import type {
  EgressGatewayArgs,
  EgressPolicyArgs,
  FleetArgs,
  GatewayRef,
  NodeMarkArgs,
  NodeRef,
} from "../../../provider/model/args";
import type { ConnectionRef } from "../../../provider/model/connection";

/** Valid inputs with every property given. Pods 10.0/16, nodes 192.168.0/24, egress 192.0.2/24, outside 203.0.113/24. */

export const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJr+GiXqEHb/bVu8p/0WCqle03qUHPkCPNr7uXPRlQ+T root@worker-1";

export const connection: ConnectionRef = {
  host: "worker-1.example.com",
  port: 22,
  user: "ops",
  privateKey: "config:sshKey",
  privateKeyPassword: "env:PASSPHRASE",
  password: "file:~/.egress/password",
  agentSocketPath: "env:SSH_AUTH_SOCK",
  hostKey,
  knownHosts: "~/.ssh/known_hosts",
  dialErrorLimit: 3,
  perDialTimeout: 15,
  sudo: true,
  proxy: { host: "198.51.100.9", privateKey: "config:other:sshKey", hostKey: `SHA256:${"a".repeat(43)}` },
};

export const fleet: FleetArgs = {
  name: "prod",
  registry: { node: "gw-1", connection },
  ignore: { pods: ["10.0.0.0/16"], services: ["10.96.0.0/16"], nodes: ["192.168.0.0/24"], extra: ["198.51.100.7"] },
  tunnelPort: 4790,
  vni: 4097,
  mtu: 1450,
  tunnelCIDR: "100.126.0.0/16",
  tables: { start: 3000, count: 100 },
  rulePreference: 5000,
};

export const nodeMark: NodeMarkArgs = {
  node: "worker-1",
  fleet,
  connection,
  underlayIP: "192.168.0.11",
  uplink: "eth0",
  mark: "0x26013f00",
};

export const nodeRef = (node: string, index: number): NodeRef => ({
  node,
  fleet: "prod",
  index,
  underlayIP: `192.168.0.${index}`,
  uplink: "eth0",
  ignore: ["10.0.0.0/16", "10.96.0.0/16", "192.168.0.0/24"],
  clusterNetworks: ["10.0.0.0/16", "10.96.0.0/16"],
  registry: { node: "gw-1", connection },
  connection,
});

export const egressGateway: EgressGatewayArgs = {
  gateways: [nodeRef("gw-1", 101), nodeRef("gw-2", 102)],
  clients: [nodeRef("worker-1", 11), nodeRef("gw-1", 101)],
  egressIPs: ["192.0.2.1", "192.0.2.4-192.0.2.6", "192.0.2.8/30", "192.168.0.200"],
  placement: { "192.0.2.5": "gw-2" },
  extraIgnore: ["198.51.100.0/24"],
  onTunnelLoss: "drop",
  inbound: "allow",
  weave: false,
};

export const gatewayRef: GatewayRef = {
  id: "gateway-5c1a8a1e-6f0b-4c53-9d4c-1d3f8c9a7b60",
  name: "payments",
  fleet: "prod",
  egressIPs: ["192.0.2.1", "192.0.2.2"],
  placement: { "192.0.2.1": "gw-1", "192.0.2.2": "gw-2" },
  ignore: ["10.0.0.0/16", "10.96.0.0/16", "192.168.0.0/24"],
  nodes: { "gw-1": "192.168.0.101", "gw-2": "192.168.0.102" },
  connection: { privateKey: "config:deployKey", agentSocketPath: "env:SSH_AUTH_SOCK" },
};

export const egressPolicy: EgressPolicyArgs = {
  gateway: gatewayRef,
  sources: { cidrs: ["10.0.1.0/24", "10.0.2.7"] },
  destinations: { cidrs: ["203.0.113.0/24"], except: ["203.0.113.9"] },
  egressIP: "192.0.2.2",
  established: "cut",
};
