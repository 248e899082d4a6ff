import { execOk, type Lab, podCall, setBackends } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { echoOn } from "./echo-on";
import { base } from "./profiles";
import { addressesOf, type Scene, scenarioOnProfiles } from "./scenario";

const EGRESS = "192.168.0.200";
const SELECTED = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const API_PORT = 6443;
/** What can stand behind a service, as seen from pod-client-1-1: its own node, another one, the gateway node, another gateway node. */
const BACKENDS = ["pod-client-1-2", "pod-client-2-2", "pod-gateway-1-1", "pod-gateway-2-1"];

/** Whom everything inside the cluster sees when a pod calls it. */
async function seenInside(lab: Lab, pod: string): Promise<Record<string, string | undefined>> {
  const [address = ""] = addressesOf(lab, [pod]);
  const seen: Record<string, string | undefined> = {};
  for (const other of lab.pods.filter(({ name }) => name !== pod)) {
    const { source, error } = await podCall(lab, pod, other.address);
    seen[other.name] = error ?? source;
  }
  for (const node of lab.nodes) {
    const { error } = await podCall(lab, pod, node.underlayIP, { proto: "icmp", timeoutMs: 500 });
    const table = await execOk(lab, node.name, ["conntrack", "-L", "-p", "icmp", "-d", node.underlayIP]);
    seen[node.name] = error ?? (table.includes(`src=${address} `) ? address : table);
    const api = await podCall(lab, pod, { address: node.underlayIP, port: API_PORT }, { timeoutMs: 500 });
    seen[`${node.name}'s API server`] = api.error ?? api.source;
  }
  return seen;
}

/** Whom a pod behind a service sees when these pods call its ClusterIP, its LoadBalancer IP, and DNS. */
async function seenByBackend(lab: Lab, backend: string): Promise<Record<string, string | undefined>> {
  const { web, shop, dns } = lab.services;
  await setBackends(lab, { web: [backend], shop: [backend], dns: [backend] });
  const seen: Record<string, string | undefined> = {};
  for (const pod of SELECTED) {
    for (const [kind, target, proto] of [
      ["cluster", web.clusterIP, "http"] as const,
      ["load balancer", shop.loadBalancerIP, "http"] as const,
      ["DNS", dns.clusterIP, "udp"] as const,
    ]) {
      const { source, error } = await podCall(lab, pod, target, { proto });
      seen[`${pod} by ${kind} IP`] = error ?? source;
    }
  }
  return seen;
}

async function allSeen(lab: Lab) {
  const inside = await Promise.all(SELECTED.map(async (pod) => ({ [pod]: await seenInside(lab, pod) })));
  const services: Record<string, unknown>[] = [];
  for (const backend of BACKENDS) services.push({ [backend]: await seenByBackend(lab, backend) });
  return [...inside, ...services];
}

async function goesOnAsBefore({ lab, stack, change }: Scene): Promise<void> {
  const before = await allSeen(lab);
  const unanswered = before
    .slice(SELECTED.length)
    .filter((seen) => !/^[^a-z]*$/.test(Object.values(Object.values(seen)[0] ?? {}).join()));
  expect(unanswered).toEqual([]);
  for (const pod of lab.pods.filter(({ name }) => SELECTED.includes(name))) {
    const peers = lab.pods.flatMap(({ name }) => (name === pod.name ? [] : [[name, pod.address]]));
    // Behind this overlay other nodes drop what comes from a pod by their uplink (rp_filter).
    const seenBy = (node: string) => (lab.options.cni === "overlay" && node !== pod.node ? "timeout" : pod.address);
    const nodes = lab.nodes.flatMap(({ name }) => [name, `${name}'s API server`].map((what) => [what, seenBy(name)]));
    expect(before).toContainEqual({ [pod.name]: Object.fromEntries([...peers, ...nodes]) });
  }
  const program = [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } }),
    policyOf("policy", "gateway", addressesOf(lab, SELECTED)),
  ];
  await change(SELECTED, () => stack.up(program), { to: [EGRESS] });
  for (const pod of SELECTED) expect(await podCall(lab, pod, "203.0.113.10")).toMatchObject({ source: EGRESS });
  expect(await allSeen(lab)).toEqual(before);
  await change(SELECTED, () => stack.destroy(), { established: "cut" });
}

scenarioOnProfiles(
  "selected pods reach pods, nodes, DNS, ClusterIPs and LoadBalancer IPs as before, with their own address",
  [base],
  { leaves: / nat (:|-A )KUBE-(SVC|SEP)-/ },
  async (scene) => {
    const { lab } = scene;
    const servers = await Promise.all(lab.nodes.map(({ name }) => echoOn(lab, name, API_PORT)));
    try {
      await goesOnAsBefore(scene);
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  },
);
