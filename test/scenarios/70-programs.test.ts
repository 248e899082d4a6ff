import { decode, GATEWAY_EXCLUDED } from "../../provider/kernel/bpf-layout";
import { execOk, type Lab, podCall, podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { counted, entriesOf, podDevice } from "./programs";
import { addressesOf, scenario } from "./scenario";
import { shown } from "./shown";

const EGRESS = "192.168.0.200";
const POD = "pod-client-1-1";
const programWith = (lab: Lab, sources: readonly string[]) => [
  ...fleetOf(lab),
  gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" }, datapath: "bpf" }),
  policyOf("policy", "gateway", addressesOf(lab, sources)),
];

scenario(
  "an open connection takes the programs in both directions, and a device without one is no leak",
  {},
  async (scene) => {
    const { lab, stack, change } = scene;
    const [server] = lab.outside;
    if (!server) throw new Error("a lab without outside");
    const program = programWith(lab, [POD]);
    await change([POD], () => stack.up(program), { to: [EGRESS] });
    const talk = async () => {
      const before = { client: await counted(lab, "client-1"), gateway: await counted(lab, "gateway-1") };
      const { source } = await podCall(lab, POD, server.address);
      const { bytes } = await podCall(lab, POD, server.address, { proto: "http", path: "/bytes/1000000" });
      expect([source, bytes]).toEqual([EGRESS, 1_000_000]);
      const after = { client: await counted(lab, "client-1"), gateway: await counted(lab, "gateway-1") };
      return (node: "client" | "gateway", what: string) => (after[node].get(what) ?? 0) - (before[node].get(what) ?? 0);
    };
    const more = await talk();
    const path = [
      ["client", "from-pod to-tunnel"],
      ["gateway", "uplink-gateway to-outside"],
      ["gateway", "from-outside to-tunnel"],
      ["client", "uplink-client to-pod"],
    ] as const;
    for (const [node, what] of path)
      expect({ node, what, isMore: more(node, what) > 10 }).toEqual({ node, what, isMore: true });

    const notes = async () => {
      await stack.notes();
      await stack.preview(program);
      return stack.notes();
    };
    const oneOf = (node: string) => `gateway gateway: node ${node}: \\d+ policy entries, 0 source networks`;
    expect(await notes()).toEqual(
      expect.arrayContaining([
        expect.stringMatching(`^${oneOf("client-1")}(; at .*)?$`),
        expect.stringMatching(`^${oneOf("gateway-1")}(; at .*)?$`),
      ]),
    );

    // As a pod's device is that came after the last up.
    const device = podDevice(lab, POD);
    await execOk(lab, "client-1", ["tc", "qdisc", "del", "dev", device, "clsact"]);
    const less = await talk();
    expect(less("client", "from-pod to-tunnel")).toBeLessThan(10);
    expect(await shown(stack, program)).toEqual({
      gateway: [expect.stringMatching(`^client-1 missing  tc-filter ${device} ingress from_pod of client [0-9a-f]+$`)],
    });
    expect(await notes()).toContainEqual(
      expect.stringMatching(`^${oneOf("client-1")}; not accelerated: ${device}(; at .*)?$`),
    );
    await stack.up(program);
    expect(await shown(stack, program)).toEqual({});
    expect((await talk())("client", "from-pod to-tunnel")).toBeGreaterThan(10);
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "behind a bridge whose frames iptables never sees all leaves with the egress IP as well, by either datapath",
  { cni: "bridge", masq: "snat" },
  async ({ lab, stack, change }) => {
    const [server] = lab.outside;
    if (!server) throw new Error("a lab without outside");
    const see = async (value: 0 | 1) => {
      for (const { name } of lab.nodes)
        await execOk(lab, name, ["sysctl", "-qw", `net.bridge.bridge-nf-call-iptables=${value}`]);
    };
    await see(0);
    try {
      for (const datapath of ["iptables", "bpf"] as const) {
        const settings = { placement: { [EGRESS]: "gateway-1" }, datapath };
        const program = [
          ...fleetOf(lab),
          gatewayOf(lab, "gateway", [EGRESS], settings),
          policyOf("policy", "gateway", addressesOf(lab, [POD])),
        ];
        await change([POD], () => stack.up(program), { to: [EGRESS] });
        for (const proto of ["tcp", "udp"] as const)
          expect((await podCall(lab, POD, server.address, { proto })).source).toBe(EGRESS);
        expect(await shown(stack, program)).toEqual({});
        await change([POD], () => stack.destroy(), { established: "cut" });
      }
    } finally {
      await see(1);
    }
  },
);

scenario("where the egress IP is not on its node nothing leaves, and the reason is counted", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const [server] = lab.outside;
  if (!server) throw new Error("a lab without outside");
  const program = programWith(lab, [POD]);
  await change([POD], () => stack.up(program), { to: [EGRESS] });
  await change(
    [POD],
    async () => {
      await execOk(lab, "gateway-1", ["ip", "addr", "del", `${EGRESS}/32`, "dev", "eth0"]);
      const { source, error } = await podCall(lab, POD, server.address, { timeoutMs: 700 });
      expect([source, error]).toEqual([undefined, "timeout"]);
      expect((await counted(lab, "gateway-1")).get("uplink-gateway drop-no-egress-ip")).toBeGreaterThan(0);
      await stack.notes();
      expect(Object.keys(await shown(stack, program))).toEqual(["gateway"]);
      expect(await stack.notes()).toContainEqual(
        expect.stringMatching(/^gateway gateway: node gateway-1: .*; at uplink-gateway: drop-no-egress-ip [1-9]/),
      );
      await stack.up(program);
    },
    { to: [EGRESS] },
  );
  expect((await podCall(lab, POD, server.address)).source).toBe(EGRESS);
  await change([POD], () => stack.destroy(), { established: "cut" });
});

/** What the map of policies has, `SOURCE/DESTINATION EGRESS-IP GATEWAY`, but for what is no policy's. */
async function policiesOn(lab: Lab, node: string): Promise<string[]> {
  const entries = await entriesOf(lab, node, "egw_policies");
  return entries
    .map(({ key, value }) => ({ ...decode("egw_policy_key", key), ...decode("egw_policy", value) }))
    .filter(({ gateway }) => gateway !== GATEWAY_EXCLUDED)
    .map((one) => `${one.source} ${one.destination}/${one.prefix_length - 32} ${one.egress_ip} ${one.gateway}`)
    .sort();
}

scenario("sources come and go, and the map has those that there are", { senders: [] }, async ({ lab, stack }) => {
  const pods = lab.pods.map(({ name }) => name);
  const gateway = lab.nodes.find(({ name }) => name === "gateway-1")?.underlayIP;
  const live = [pods.slice(0, 1), pods.slice(0, 4), pods.slice(2, 5), pods, pods.slice(3, 4), pods.slice(1, 6)];
  for (const some of live) {
    await stack.up(programWith(lab, some));
    const everything = ["0.0.0.0/1", "128.0.0.0/1"];
    const policies = addressesOf(lab, some).flatMap((source) =>
      everything.map((half) => `${source} ${half} ${EGRESS} ${gateway}`),
    );
    for (const { name: node } of lab.nodes)
      expect({ node, policies: await policiesOn(lab, node) }).toEqual({ node, policies: policies.sort() });
  }
  await stack.destroy();
});

scenario("a connection that is cut by its policy's end is reset, whoever carries it", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const [server] = lab.outside;
  if (!server) throw new Error("a lab without outside");
  const program = programWith(lab, [POD]);
  await change([POD], () => stack.up(program), { to: [EGRESS] });
  const held = await podHold(lab, POD, server.address);
  for (let i = 0; i < 5; i++) expect(await held.say()).toBeUndefined();
  expect(await entriesOf(lab, "client-1", "egw_flows")).not.toEqual([]);
  await change([POD], () => stack.up(program.slice(0, -1)), { established: "cut" });
  expect(await held.say()).toBe("reset");
  // What has begun and was not sent to a gateway is noted without one (without an egress IP on the gateway node), and is no flow.
  const ofPod = ({ key, value }: { key: Buffer; value: Buffer }) =>
    key.subarray(0, 4).join(".") === addressesOf(lab, [POD])[0] && value.readUInt32LE(8) !== 0;
  expect((await entriesOf(lab, "client-1", "egw_flows")).filter(ofPod)).toEqual([]);
  expect((await entriesOf(lab, "gateway-1", "egw_nat_out")).filter(ofPod)).toEqual([]);
  await stack.destroy();
});
