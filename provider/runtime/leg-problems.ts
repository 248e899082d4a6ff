import { countFree, isOneOf } from "../compile/table-number";
import { peersOf, viewOf } from "../compile/view";
import type { NodeRef, Problem } from "../model/args";
import type { FleetSettings, GatewayClaim, NodeClaim } from "../model/claim";
import { settingsOf } from "./fleet-settings";
import { claimOf, reachable } from "./gateway-rollout";
import { fleetOf, type GatewayState, nodesOf, pathOf } from "./gateway-state";
import type { Looked } from "./look";
import { memory } from "./run-memory";
import type { Snapshot } from "./snapshot";

/**
 * A node has a leg, and so a routing table, for every peer of all gateways that it is a node of: those of this run as it
 * wants them, those of others as the node knows them. A leg keeps its table; new ones need tables that nobody uses there.
 */
export function legProblems(state: GatewayState, looked: ReadonlyMap<string, Looked>): Problem[] {
  const settings = settingsOf(fleetOf(state), looked);
  if (!settings) return [];
  const { count } = settings.tables;
  const ofFleet = [...memory.gateways].filter(([, { wanted }]) => fleetOf(wanted) === fleetOf(state));
  const ofRun = new Map(ofFleet.map(([id, { wanted }]) => [id, claimOf(wanted)]));
  ofRun.set(state.ownerId, claimOf(state));
  return reachable(nodesOf(state)).flatMap((node): Problem[] => {
    const snapshot = looked.get(node.node)?.snapshot;
    const legs = legsOf(node, settings, gatewaysOn(snapshot, ofRun));
    const held = snapshot?.node?.tables ?? {};
    const kept = legs.filter((index) => isOneOf(settings.tables, held[index]));
    const others = [...(snapshot?.host.tables ?? [])];
    const used = new Set([...others, ...kept.map((index) => held[index] ?? 0)]);
    if (legs.length - kept.length <= countFree(settings.tables, used)) return [];
    const foreign = others.filter((table) => isOneOf(settings.tables, table)).length;
    return [
      {
        path: pathOf(state, node.node),
        message: `node ${node.node} needs ${legs.length} routing tables, one for each other node that its gateways join it with, and fleet.tables has ${count}${foreign > 0 ? `, ${foreign} of which others use there` : ""}. Raise fleet.tables.count.`,
      },
    ];
  });
}

function gatewaysOn(snapshot: Snapshot | undefined, ofRun: ReadonlyMap<string, GatewayClaim>): GatewayClaim[] {
  const recorded = (snapshot?.claims ?? []).filter((claim): claim is GatewayClaim => claim.kind === "gateway");
  return [...recorded.filter(({ owner }) => !ofRun.has(owner.id)), ...ofRun.values()];
}

/** Indices of the peers. */
function legsOf(node: NodeRef, fleet: FleetSettings, gateways: readonly GatewayClaim[]): number[] {
  const claim: NodeClaim = {
    kind: "node",
    owner: { id: "", project: "", stack: "", name: "" },
    node: node.node,
    index: node.index,
    underlay: node.underlayIP,
    uplink: node.uplink,
    mtu: 0,
    fleet,
  };
  const view = viewOf([claim, ...gateways], { tables: {}, dropPolicies: [] });
  return view ? peersOf(view).map(({ index }) => index) : [];
}
