import type { Claim, GatewayClaim } from "../../../provider/model/claim";
import type { RegistryEntry } from "../../../provider/program/registry";
import { withChanges } from "../../../provider/runtime/batch";
import type { GatewayState } from "../../../provider/runtime/gateway-state";
import { formerOwners, fromOtherNodes, handoversTo, placedElsewhere } from "../../../provider/runtime/handover";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";

const [A, B] = ["192.0.2.1", "192.0.2.2"] as const;
const label = (name: string) => ({ project: "shop", stack: "prod", name });

function gateway(name: string, placement: Readonly<Record<string, string>>): GatewayState {
  const egressIPs = Object.keys(placement);
  const ref = { id: name, name, fleet: "lab", egressIPs, placement, ignore: [], nodes: {}, connection: {} };
  return { gateways: [], egressIPs, label: label(name), ownerId: name, placement, ref };
}
const claim = (id: string, placement: Readonly<Record<string, string>>): GatewayClaim => ({
  kind: "gateway",
  owner: { id, ...label(id) },
  nodes: {},
  placement,
  hold: [],
  extraIgnore: [],
  onTunnelLoss: "drop",
  inbound: "drop",
  weave: false,
});
const entry = (ip: string, owner: string, stack = "shop/prod"): RegistryEntry => ({
  key: `ip-${ip}`,
  owner,
  holder: `${stack}/${owner}`,
  content: "",
});
const says = (wanted: GatewayState, held?: GatewayState): void =>
  void memory.gateways.set(wanted.ownerId, { wanted, held });

beforeEach(() => {
  forgetRun();
  memory.stacks.add("shop/prod");
});

describe("egress IPs that one gateway takes from another", () => {
  const held = gateway("x", { [A]: "gw-1" });
  const taker = gateway("y", { [A]: "gw-2" });

  test("are waited for until the run has said that the other one gives them up", async () => {
    const later = setTimeout(() => says(gateway("x", { [B]: "gw-1" }), held), 100);
    const found = await handoversTo(taker, [entry(A, "x")], 5_000);
    clearTimeout(later);
    expect(found).toMatchObject([{ from: "x", ips: [A] }]);
    expect([...formerOwners(found)]).toEqual([[`ip-${A}`, "x"]]);
    expect(fromOtherNodes(found, taker)).toEqual([A]);
    expect(fromOtherNodes(found, gateway("y", { [A]: "gw-1" }))).toEqual([]);
  });

  test("stay where the other one still wants them, is never checked, or is another stack's", async () => {
    says(held, held);
    expect(await handoversTo(taker, [entry(A, "x")])).toEqual([]);
    forgetRun();
    memory.stacks.add("shop/prod");
    expect(await handoversTo(taker, [entry(A, "x")], 50)).toEqual([]);
    expect(await handoversTo(taker, [entry(A, "x", "shop/other")])).toEqual([]);
  });

  test("are known by state where the registry says nothing, and by the registry where state does not", async () => {
    says(gateway("x", {}), held);
    expect(await handoversTo(taker, [])).toMatchObject([{ from: "x", ips: [A] }]);
    says(gateway("x", {}));
    const found = await handoversTo(taker, [entry(A, "x")]);
    expect(found).toMatchObject([{ from: "x", ips: [A] }]);
    // Nobody can tell which node has it.
    expect(fromOtherNodes(found, taker)).toEqual([A]);
  });
});

test("what a hand-over that got half way left is known by the nodes, where the registry names the taker already", async () => {
  const taker = gateway("y", { [A]: "gw-2" });
  const left = placedElsewhere(taker, [claim("x", { [A]: "gw-1", [B]: "gw-1" }), claim("y", { [A]: "gw-2" })]);
  expect(left).toEqual([entry(A, "x")]);
  const later = setTimeout(() => says(gateway("x", { [B]: "gw-1" }), gateway("x", { [A]: "gw-1", [B]: "gw-1" })), 100);
  const found = await handoversTo(taker, [entry(A, "y"), ...left], 5_000);
  clearTimeout(later);
  expect(found).toMatchObject([{ from: "x", ips: [A] }]);
  expect(fromOtherNodes(found, taker)).toEqual([A]);
});

test("a claim loses what another gateway takes, before or after its own update", () => {
  const x = (placement: Readonly<Record<string, string>>): GatewayClaim => claim("x", placement);
  const letGo = { write: [], remove: [], letGo: { owner: "x", ips: [A] } };
  const update = { write: [x({ [B]: "gw-1" })], remove: [] };
  const before: Claim[] = [x({ [A]: "gw-1" })];
  expect(withChanges(before, [letGo])).toEqual([x({})]);
  for (const changes of [
    [letGo, update],
    [update, letGo],
  ])
    expect(withChanges(before, changes)).toEqual([x({ [B]: "gw-1" })]);
});

test("a policy is taken off a node only while it is there by that gateway", () => {
  const policy: Claim = {
    kind: "policy",
    owner: { id: "p", ...label("p") },
    gateway: "x",
    sources: [],
    destinations: [],
    except: [],
    egressIP: A,
    established: "keep",
  };
  const off = (gateway: string) => [{ write: [], remove: [], removeOf: { gateway, policies: ["p"] } }];
  expect(withChanges([policy], off("x"))).toEqual([]);
  expect(withChanges([policy], off("y"))).toEqual([policy]);
  const written = { ...policy, gateway: "z" };
  expect(withChanges([policy], [{ write: [written], remove: [] }, ...off("x")])).toEqual([written]);
});
