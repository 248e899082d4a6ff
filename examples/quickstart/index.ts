import { EgressGateway, EgressPolicy, NodeFleet } from "pulumi-egress";

// The nodes, and the networks of the cluster itself: what goes there never leaves by an egress IP.
const fleet = new NodeFleet("fleet", {
  connection: { user: "root", privateKey: "config:sshKey" },
  ignore: { pods: ["10.0.0.0/16"], services: ["10.96.0.0/16"], nodes: ["192.168.0.0/24"] },
  nodes: {
    "client-1": { underlayIP: "192.168.0.11" },
    "client-2": { underlayIP: "192.168.0.12" },
    "gateway-1": { underlayIP: "192.168.0.101" },
    "gateway-2": { underlayIP: "192.168.0.102" },
  },
});

// The gateway nodes hold the egress IP between them; pods may run on any node.
const gateway = new EgressGateway("payments", {
  gateways: fleet.pick("gateway-1", "gateway-2"),
  clients: fleet.pick("client-1", "client-2"),
  egressIPs: ["192.168.0.200"],
});

// These pods leave by it: two on client nodes, one on a gateway node.
export const { egressIP } = new EgressPolicy("checkout", {
  gateway,
  sources: { cidrs: ["10.0.1.11", "10.0.2.11", "10.0.101.11"] },
});
