// The program under test: a fleet, a gateway over all of it, and many policies.
const { EgressGateway, EgressPolicy, NodeFleet } = require("pulumi-egress");
const { fleet: fleetArgs, gateways, clients, egressIPs, policies } = require("./plan.json");

const fleet = new NodeFleet("fleet", fleetArgs);
const gateway = new EgressGateway("gateway", {
  gateways: fleet.pick(...gateways),
  clients: fleet.pick(...clients),
  egressIPs,
});
for (const { name, ...args } of policies) new EgressPolicy(name, { gateway, ...args });
