import { CLIENTS, GATEWAY_POD, GatewayPod, IN_CLUSTER, NODES, OUTSIDE, type Seen, UNTRACKED } from "./gateway-pod";

/** Seed 000, "Expected processing, different nodes". */
const DIFFERENT_NODES = {
  outbound: [
    "client node client-E: miss, create CT-A",
    "client node eth0/tunl-E: miss, create CT-B",
    "gateway node eth0/tunl-I: miss, create CT-B",
    "gateway node gateway-I: hit CT-B",
    "gateway node gateway-E: miss, create CT-C",
    "gateway node eth0-E: hit CT-C",
  ],
  return: [
    "gateway node eth0-I: hit CT-C",
    "gateway node gateway-I: hit CT-C",
    "gateway node gateway-E: miss, create CT-A",
    "gateway node eth0/tunl-E: hit CT-A",
    "client node eth0/tunl-I: hit CT-A",
    "client node client-I: hit CT-A",
  ],
};

/** Seed 000, "Expected processing, same nodes". */
const SAME_NODE = {
  outbound: [
    "client node client-E: miss, create CT-A",
    "gateway node gateway-I: miss, create CT-B",
    "gateway node gateway-E: miss, create CT-C",
    "gateway node eth0-E: hit CT-C",
  ],
  return: [
    "gateway node eth0-I: hit CT-C",
    "gateway node gateway-I: hit CT-C",
    "gateway node gateway-E: hit CT-A",
    "client node client-I: hit CT-A",
  ],
};

let made: GatewayPod;
beforeAll(async () => {
  made = await GatewayPod.start();
});
afterAll(() => made.stop());

/** Seed 000's letters: E = towards the network, as the packet leaves a pod or the node. */
const side = (hook: string): string => (["from-workload", "to-network"].includes(hook) ? "E" : "I");
const row = ({ node, device, hook, isCreated, kind }: Seen): string =>
  `${node} ${device}-${side(hook)}: ${isCreated ? "miss, create" : "hit"} ${kind}`;
/** Of all but the first packet of a direction. */
const known = (rows: readonly string[]): string[] => rows.map((one) => one.replace("miss, create", "hit"));

describe.each([
  [
    "different nodes, which encapsulate what is for each other's pods",
    "far",
    "tunl",
    IN_CLUSTER.client,
    DIFFERENT_NODES,
  ],
  ["different nodes, which reach each other's pods by their uplinks", "far", "eth0", NODES.client, DIFFERENT_NODES],
  ["the same node", "near", "eth0", NODES.gateway, SAME_NODE],
] as const)("%s", (_, client, way, node, table) => {
  beforeAll(() => made.reachBy(way));
  const rows = (direction: "outbound" | "return") => table[direction].map((one) => one.replace("eth0/tunl", way));
  /** Source and destination of each kind of connection, as seed 000 has them. */
  const ends = {
    "CT-A": [CLIENTS[client], OUTSIDE],
    "CT-B": [node, GATEWAY_POD],
    "CT-C": [GATEWAY_POD, OUTSIDE],
  };
  const expected = [...rows("outbound"), ...rows("return"), ...known(rows("outbound"))];

  test.each([
    [
      "UDP",
      () =>
        expect(made.talk(client, "send", CLIENTS[client], way === "tunl" ? "4400" : "4401", "10", "10")).toHaveLength(
          2,
        ),
    ],
    ["TCP", () => expect(made.talk(client, "knock")).toBe(GATEWAY_POD)],
  ])("the first packet, its answer and the next packet are what the seed says: %s", (_protocol, act) => {
    made.seen();
    act();
    const events = made.seen();
    expect(events.slice(0, expected.length).map(row)).toEqual(expected);
    const found = new Map(events.map(({ kind, tuple }) => [kind, [tuple.source, tuple.destination]]));
    expect(Object.fromEntries(found)).toEqual(ends);
  });

  test("everything passes whole with the gateway pod's address, though nodes drop what is invalid or by the wrong device", () => {
    expect(made.talk(client, "call")).toEqual({
      tcp: GATEWAY_POD,
      whole: true,
      udp: [1, 2, 3].map(() => [GATEWAY_POD, expect.any(Number)]),
      closed: "ConnectionRefusedError",
    });
  });
});

test("without the marks a connection to another node does not come about", () => {
  made.inside("gateway", "iptables", "-w", "-t", "raw", "-D", ...UNTRACKED);
  expect(made.talk("far", "knock", "0.6")).toBeNull();
  // On the same node conntrack knows both directions.
  expect(made.talk("near", "knock")).toBe(GATEWAY_POD);
  made.inside("gateway", "iptables", "-w", "-t", "raw", "-I", ...UNTRACKED);
  expect(made.talk("far", "knock")).toBe(GATEWAY_POD);
  made.inside("gateway", "tc", "filter", "del", "dev", "gw", "ingress");
  expect([made.talk("far", "knock", "0.6"), made.talk("near", "knock", "0.6")]).toEqual([null, null]);
});
