import { execOk, type Lab, podCall, startCapture } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { packetsIn } from "./packets-in";
import { addressesOf, scenario, usualSource } from "./scenario";

const EGRESS = "192.168.0.200";
const PODS = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const MARK = "0x26070700";

interface Options {
  readonly fleet: Readonly<Record<string, unknown>>;
  readonly gateway: Readonly<Record<string, unknown>>;
  /** More inputs of single nodes. */
  readonly nodes: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

function programOf(lab: Lab, { fleet, gateway, nodes }: Options): Declared[] {
  const marks = fleetOf(lab, fleet).map((declared) => ({
    ...declared,
    inputs: () => {
      const inputs = declared.inputs(() => ({}));
      const { connection, ...rest } = nodes[declared.name] ?? {};
      return { ...inputs, ...rest, connection: { ...(inputs.connection as object), ...(connection as object) } };
    },
  }));
  return [
    ...marks,
    gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" }, ...gateway }),
    policyOf("policy", "gateway", addressesOf(lab, PODS)),
  ];
}

/** What a node's kernel shows of the options, each as sorted text. */
async function shownOn(lab: Lab, node: string): Promise<Record<string, readonly string[]>> {
  const found = async (command: string, pattern: RegExp): Promise<string[]> => {
    const text = await execOk(lab, node, ["sh", "-c", command]);
    return [...new Set([...text.matchAll(pattern)].map(([, one = ""]) => one))].sort();
  };
  return {
    preferences: await found("ip rule show", /^(\d+):.* proto(?:col)? 38/gm),
    tables: await found("ip route show table all proto 38", / table (\d\d)\d\d /g),
    network: await found("ip -o addr show dev egw.vxlan", / inet (\d+\.\d+)\./g),
    mtu: await found("ip link show dev egw.vxlan", / mtu (\d+) /g),
    weave: await found("iptables -t nat -S EGRESSGATEWAY-NO-SNAT", / (egw-s)-\S+ src /g),
  };
}

/** How many legs of a node lead to the one with the explicit mark. */
const legsTo = async (lab: Lab, node: string): Promise<number> =>
  (await execOk(lab, node, ["ip", "rule", "show"])).split(`fwmark ${MARK}/`).length - 1;

/** Whom the two outside hosts see. */
async function seen(lab: Lab): Promise<Record<string, (string | undefined)[]>> {
  const entries = PODS.map(async (pod): Promise<[string, (string | undefined)[]]> => {
    const calls = await Promise.all(lab.outside.map(({ address }) => podCall(lab, pod, address)));
    return [pod, calls.map(({ source, error }) => error ?? source)];
  });
  return Object.fromEntries(await Promise.all(entries));
}

scenario("options of fleet, gateway, node and connection do what they say", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const [first = "", second = ""] = lab.outside.map(({ address }) => address);
  const jump = lab.nodes.find(({ name }) => name === "gateway-1")?.ssh;
  const client = lab.nodes.find(({ name }) => name === "client-2")?.ssh;
  const proxy = { host: jump?.host, privateKey: `file:${jump?.keyPath}`, knownHosts: jump?.knownHostsPath };
  const options: Options = {
    fleet: { rulePreference: 7000, tables: { start: 5000, count: 10 }, tunnelCIDR: "100.100.0.0/16", mtu: 1300 },
    gateway: { weave: true, extraIgnore: ["203.0.114.0/24"] },
    nodes: { "client-1": { mark: MARK }, "client-2": { connection: { proxy } } },
  };
  const program = programOf(lab, options);
  const changes = async (wanted: readonly Declared[]) =>
    (await stack.preview(wanted)).filter((one) => one.change !== "same");

  const ssh = await startCapture(lab, ["client-2"]);
  await change(PODS, () => stack.up(program), { to: [EGRESS], targets: [first] });
  await ssh.stop();
  const dialled = (by: string) => `tcp dst port 22 and dst host ${client?.host} and src host ${by}`;
  const file = ssh.files["client-2"] ?? "";
  expect((await packetsIn(file, dialled(proxy.host ?? ""))).length).toBeGreaterThan(0);
  expect(await packetsIn(file, dialled("192.168.0.2"))).toEqual([]);

  for (const { name } of lab.nodes) {
    const weave = name === "gateway-1" ? [] : ["egw-s"];
    const wanted = { preferences: ["7000"], tables: ["50"], network: ["100.100"], mtu: ["1300"], weave };
    expect({ name, ...(await shownOn(lab, name)) }).toEqual({ name, ...wanted });
  }
  expect(stack.outputs("client-1")).toMatchObject({ mark: MARK, tunnelMTU: 1300 });
  expect(await legsTo(lab, "gateway-1")).toBe(1);

  // What is ignored leaves as ever; what is chosen comes through the tunnel with segments that fit its MTU.
  const capture = await startCapture(lab, ["outside-1"]);
  expect(await seen(lab)).toEqual(Object.fromEntries(PODS.map((pod) => [pod, [EGRESS, usualSource(lab, pod)]])));
  const upload = { proto: "http", upload: 200_000, timeoutMs: 5000 } as const;
  expect(await podCall(lab, "pod-client-1-1", first, upload)).toMatchObject({ source: EGRESS, received: 200_000 });
  await capture.stop();
  const begun = await packetsIn(
    capture.files["outside-1"] ?? "",
    `src host ${EGRESS} and tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn`,
  );
  // The pod of the gateway node needs no tunnel.
  const segments = new Set(begun.map((line) => /\bmss (\d+)/.exec(line)?.[1]));
  expect([...segments].sort()).toEqual(["1260", "1460"]);
  expect(await changes(program)).toEqual([]);

  const usual = programOf(lab, { fleet: {}, gateway: {}, nodes: {} });
  await change(PODS, () => stack.up(usual), { to: [EGRESS], targets: [first, second] });
  for (const { name } of lab.nodes) {
    const wanted = {
      preferences: ["5000"],
      tables: ["30"],
      network: ["100.126"],
      mtu: ["1450"],
      weave: [],
    };
    expect({ name, ...(await shownOn(lab, name)) }).toMatchObject({ name, ...wanted });
  }
  // A mark that is held stays.
  expect(stack.outputs("client-1")).toMatchObject({ mark: MARK, tunnelMTU: 1450 });
  expect(await seen(lab)).toEqual(Object.fromEntries(PODS.map((pod) => [pod, [EGRESS, EGRESS]])));
  expect(await changes(usual)).toEqual([]);
  await change(PODS, () => stack.destroy(), { established: "cut" });
});
