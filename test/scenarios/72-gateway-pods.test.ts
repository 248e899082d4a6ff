import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { type GatewayPod, inPod, markOf, POOL, podIn, putPods } from "./gateway-pod";
import { counted } from "./programs";
import { addressesOf, type Scene, scenario } from "./scenario";
import { shown } from "./shown";

/** On another node than the pod, and on the same. */
const CLIENTS = ["pod-client-1-1", "pod-gateway-1-1"];

/** A fleet of all nodes and the pods, and a gateway whose gateways are the pods. */
function programWith(lab: Lab, pods: readonly GatewayPod[], more: Record<string, unknown> = {}): Declared[] {
  const fleet = fleetOf(lab, {
    ignore: { pods: [lab.ranges.pods], services: [lab.ranges.services], nodes: [lab.ranges.nodes, POOL] },
  });
  const gateway = gatewayOf(
    lab,
    "gateway",
    pods.map(({ address }) => address),
    {
      on: pods.map(({ name }) => name),
      of: lab.nodes.map(({ name }) => name),
      placement: "pod",
      ...more,
    },
  );
  return [
    ...fleet,
    ...pods.map((pod) => markOf(fleet, pod)),
    gateway,
    policyOf("policy", "gateway", addressesOf(lab, CLIENTS)),
  ];
}

/** What the outside sees of each client, and a transfer of each through the gateway pod. */
async function through({ lab }: Scene, pod: GatewayPod): Promise<void> {
  const [server] = lab.outside;
  if (!server) throw new Error("a lab without outside");
  for (const client of CLIENTS) {
    const { source, error } = await podCall(lab, client, server.address);
    const { bytes } = await podCall(lab, client, server.address, { proto: "http", path: "/bytes/1000000" });
    expect({ client, source, error, bytes }).toEqual({
      client,
      source: pod.address,
      error: undefined,
      bytes: 1_000_000,
    });
    const { source: datagram } = await podCall(lab, client, server.address, { proto: "udp" });
    expect({ client, datagram }).toEqual({ client, datagram: pod.address });
  }
}

/** Everything of ours that a namespace has, in its kernel and in the state that its machine keeps for it. */
const ofOurs = (lab: Lab, pod: GatewayPod): Promise<string> =>
  inPod(
    lab,
    pod,
    "{ iptables-save; ipset save; ip -d link; ip rule; ip route show table all; ip addr; } | grep -iE 'egw|EGRESSGATEWAY|proto 38' || :; ls -d /var/lib/pulumi-egress/netns/* 2>/dev/null || :",
  );

/** What else a pod has that one could leave changed. */
const KERNEL =
  "ip -4 -o addr | sed 's/.*: //'; ip -4 route show table all; ip rule; grep . /proc/sys/net/ipv4/conf/*/rp_filter";

/** A body that has pods on their nodes. */
const withPods =
  (pods: readonly GatewayPod[], body: (scene: Scene) => Promise<void>) =>
  async (scene: Scene): Promise<void> => {
    const { takeAway } = await putPods(scene.lab, pods);
    try {
      await body(scene);
    } finally {
      await takeAway();
    }
  };

const POD = podIn("gateway-1", 5);

scenario(
  "a gateway pod gives pods of its own node and of others its own address, and leaves nothing",
  { senders: CLIENTS },
  withPods([POD], async (scene) => {
    const { lab, stack, change } = scene;
    const program = programWith(lab, [POD]);
    const before = await inPod(lab, POD, KERNEL);
    // As a CNI does whose pods are all masqueraded.
    await onAllNodes(lab, `iptables -t nat -A ${MASQUERADE_POOL}`);
    await change(CLIENTS, () => stack.up(program), { to: [POD.address] });
    expect(await shown(stack, program)).toEqual({});
    await through(scene, POD);

    // The machine is a node of its own: one has no mark, set or file of the other.
    expect(await execOk(lab, "gateway-1", ["ls", "/var/lib/pulumi-egress/claims"])).not.toContain(
      await claimOf(lab, POD),
    );
    await inPod(lab, POD, "ip addr show dev eth0 | grep -q :egw && exit 1 || exit 0");

    await change(
      CLIENTS,
      async () => {
        await inPod(lab, POD, "iptables -t nat -F EGRESSGATEWAY-SNAT-EIP; ip link set egw.vxlan down");
        const drift = await shown(stack, program);
        expect(Object.keys(drift)).toEqual(["egress-5", "gateway", "policy"]);
        expect(drift["egress-5"]?.join()).toMatch(/^egress-5 changed {2}link egw.vxlan/);
        await execOk(lab, "gateway-1", ["iptables", "-t", "mangle", "-F", "EGRESSGATEWAY-RESET-MARK"]);
        expect(Object.keys(await shown(stack, program))).toEqual(["egress-5", "gateway", "gateway-1", "policy"]);
        await stack.up(program);
      },
      { to: [POD.address] },
    );
    expect(await shown(stack, program)).toEqual({});
    await through(scene, POD);
    await change(CLIENTS, () => stack.destroy(), { established: "cut" });
    await onAllNodes(lab, `iptables -t nat -D ${MASQUERADE_POOL}`);
    expect(await ofOurs(lab, POD)).toBe("");
    expect(await inPod(lab, POD, KERNEL)).toBe(before);
  }),
);

/** The file name of the pod's own claim. */
const claimOf = async (lab: Lab, { node, name }: GatewayPod): Promise<string> =>
  (await execOk(lab, node, ["ls", `/var/lib/pulumi-egress/netns/${name}/claims`]))
    .split("\n")
    .filter((one) => one.startsWith("node-"))[0] ?? "";

const FAR = podIn("gateway-2", 6);

scenario(
  "answers of a gateway pod come by the cluster's own routes, though its machine has not seen what they answer",
  { senders: CLIENTS },
  withPods([FAR, POD], async (scene) => {
    const { lab, stack, change } = scene;
    const of = (device: string) => `/proc/sys/net/ipv4/conf/${device}/rp_filter`;
    const strictness = () => execOk(lab, POD.node, ["cat", of(POD.device)]);
    // What a CNI has put on a pod's device.
    const behind = (pod: GatewayPod) =>
      execOk(lab, pod.node, [
        "sh",
        "-c",
        `ip -4 route show dev ${pod.device}; ip neigh show dev ${pod.device} nud permanent`,
      ]);
    const macOf = (name: string) => `ip -n ${name} -o link show eth0 | sed 's/.*ether \\([^ ]*\\).*/\\1/'`;
    for (const { name, node, device, address } of [FAR, POD])
      await execOk(lab, node, [
        "sh",
        "-c",
        `ip neigh replace ${address} lladdr $(${macOf(name)}) dev ${device} nud permanent`,
      ]);
    const before = await Promise.all([FAR, POD].map(behind));
    await onAllNodes(lab, `iptables -I ${DROP_INVALID}`);
    for (const pod of [FAR, POD]) {
      const program = programWith(lab, [pod], { answers: "cluster", datapath: "iptables" });
      await change(CLIENTS, () => stack.up(program), { to: [pod.address] });
      expect(await shown(stack, program)).toEqual({});
      await through(scene, pod);
      expect(await tunnelled(lab, "client-1")).toEqual({ sent: true, received: false });
    }
    expect(await strictness()).toBe("2\n");
    const program = programWith(lab, [POD], { answers: "cluster", datapath: "iptables" });
    await execOk(lab, POD.node, ["sh", "-c", `echo 1 > ${of(POD.device)}`]);
    const setting = `net/ipv4/conf/${POD.device}/rp_filter`;
    expect(await shown(stack, program)).toEqual({
      [POD.node]: [`${POD.node} changed  sysctl ${setting} = 2 192.168.0.101  is  sysctl ${setting} = 1 192.168.0.101`],
    });
    await stack.up(program);
    expect(await strictness()).toBe("2\n");

    // What nobody asked for has another source than the pod's device is for, and goes nowhere.
    await sendStray(lab, POD);
    const dropped = await execOk(lab, POD.node, ["iptables-save", "-c", "-t", "mangle"]);
    expect(dropped).toMatch(/^\[3:252\] -A EGRESSGATEWAY-ANSWER -j DROP$/m);
    // Nor has it the address of another pod, though the device's own filter is loose.
    await sendStray(lab, POD, addressesOf(lab, ["pod-client-1-1"])[0]);
    const forged = await execOk(lab, POD.node, ["iptables-save", "-c", "-t", "mangle"]);
    const rule = `-A EGRESSGATEWAY-MARK-REQUEST -i ${POD.device} -m set --match-set egw-ignore src -m rpfilter --invert -j DROP`;
    expect(forged.split("\n").find((line) => line.endsWith(rule))).toBe(`[3:252] ${rule}`);
    await change(CLIENTS, () => stack.destroy(), { established: "cut" });
    expect(await strictness()).toBe("1\n");
    expect(await Promise.all([FAR, POD].map(behind))).toEqual(before);
    await onAllNodes(lab, `iptables -D ${DROP_INVALID}`);
  }),
);

scenario(
  "programs around gateway pods know their connections, on other nodes than their clients and on the same",
  { senders: CLIENTS },
  withPods([FAR, POD], async (scene) => {
    const { lab, stack, change } = scene;
    for (const pod of [FAR, POD]) {
      const program = programWith(lab, [pod], { answers: "cluster", datapath: "bpf" });
      await change(CLIENTS, () => stack.up(program), { to: [pod.address] });
      expect(await shown(stack, program)).toEqual({});
      const before = await countedOn(lab, [pod.node, "client-1"]);
      await through(scene, pod);
      const after = await countedOn(lab, [pod.node, "client-1"]);
      const known = [...after].filter(([what, count]) => count > (before.get(what) ?? 0)).map(([what]) => what);
      expect(known.filter((what) => / connection-/.test(what)).sort()).toEqual(
        expect.arrayContaining([
          "client-1 from-network connection-hit",
          "client-1 from-workload connection-hit",
          "client-1 from-workload connection-new",
          "client-1 to-workload connection-hit",
          `${pod.node} from-network connection-hit`,
          `${pod.node} from-workload connection-hit`,
          `${pod.node} from-workload connection-new`,
          `${pod.node} to-network connection-hit`,
          `${pod.node} to-workload connection-hit`,
        ]),
      );
      expect(known.filter((what) => / drop-/.test(what))).toEqual([]);
    }
    const dropped = async () => (await counted(lab, POD.node)).get("from-workload drop-other-source") ?? 0;
    const before = await dropped();
    await sendStray(lab, POD);
    expect((await dropped()) - before).toBe(3);
    const program = programWith(lab, [POD], { answers: "cluster", datapath: "bpf" });
    await execOk(lab, POD.node, ["tc", "filter", "del", "dev", POD.device, "ingress"]);
    expect(await shown(stack, program)).toEqual({
      gateway: [
        expect.stringMatching(`^${POD.node} missing  tc-filter ${POD.device} ingress from_workload of connections `),
      ],
    });
    await stack.up(program);
    expect(await shown(stack, program)).toEqual({});
    await change(CLIENTS, () => stack.destroy(), { established: "cut" });
  }),
);

/** Three packets of a pod to one that no policy selects, with a source of nobody here, or of somebody else. */
async function sendStray(lab: Lab, pod: GatewayPod, other = "203.0.113.77"): Promise<void> {
  const [stranger] = addressesOf(lab, ["pod-client-2-1"]);
  const ping = `ping -q -c 3 -i 0.2 -W 1 -I ${other} ${stranger}`;
  await inPod(lab, pod, `ip addr add ${other}/32 dev lo; ${ping}; ip addr del ${other}/32 dev lo`);
}

/** `node hook verdict` → how often. */
async function countedOn(lab: Lab, nodes: readonly string[]): Promise<Map<string, number>> {
  const all = await Promise.all(
    nodes.map(async (node) =>
      [...(await counted(lab, node))].map(([what, count]) => [`${node} ${what}`, count] as const),
    ),
  );
  return new Map(all.flat());
}

/** As kube-proxy has it. */
const DROP_INVALID = "KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP";

const MASQUERADE_POOL = `POSTROUTING -s ${POOL} ! -d 10.0.0.0/16 -j MASQUERADE`;

const onAllNodes = (lab: Lab, command: string) =>
  Promise.all(lab.nodes.map(({ name }) => execOk(lab, name, ["sh", "-c", command])));

/** Whether anything went into a node's tunnel, and came out of it. */
async function tunnelled(lab: Lab, node: string): Promise<{ sent: boolean; received: boolean }> {
  const [, received = "", sent = ""] =
    /egw\.vxlan: *\d+ +(\d+)(?: +\d+){7} +(\d+)/.exec(await execOk(lab, node, ["cat", "/proc/net/dev"])) ?? [];
  return { sent: Number(sent) > 0, received: Number(received) > 0 };
}

scenario(
  "a gateway pod that is gone is said to be, and can be written off",
  { senders: [] },
  withPods([POD], async ({ lab, stack, change }) => {
    const program = programWith(lab, [POD]);
    const [server] = lab.outside;
    await change(CLIENTS, () => stack.up(program), { to: [POD.address] });
    await execOk(lab, POD.node, ["ip", "netns", "del", POD.name]);
    const gone = `${POD.name} unknown  node ${POD.name}: 192.168.0.101 has no network namespace "${POD.name}"`;
    const drift = await shown(stack, program);
    for (const name of [POD.name, "gateway", "policy"])
      expect(drift[name]).toContainEqual(expect.stringContaining(gone));
    expect((await podCall(lab, "pod-client-1-1", server?.address ?? "", { timeoutMs: 700 })).error).toBe("timeout");
    await stack.configure("egress:abandon", POD.name);
    await change(CLIENTS, () => stack.destroy(), { established: "cut" });
    expect(await execOk(lab, POD.node, ["sh", "-c", "ls -d /var/lib/pulumi-egress || :"])).toBe("");
  }),
);

const ANEW = podIn("gateway-1", 7);

scenario(
  "a gateway pod that is made anew is taken up when the old one is gone, of which nothing stays",
  { senders: CLIENTS },
  withPods([POD, ANEW], async (scene) => {
    const { lab, stack, change } = scene;
    const program = programWith(lab, [POD]);
    await change(CLIENTS, () => stack.up(program), { to: [POD.address] });
    const marks = programWith(lab, [ANEW]).filter(({ name }) => name === ANEW.name);
    const renamed = marks.map((mark) => ({
      ...mark,
      name: POD.name,
      inputs: (outputs: Parameters<Declared["inputs"]>[0]) => ({ ...mark.inputs(outputs), node: POD.name }),
    }));
    const gateway = programWith(lab, [{ ...ANEW, name: POD.name }]).filter(({ name }) => name === "gateway");
    const anew = program.map((one) => [...renamed, ...gateway].find(({ name }) => name === one.name) ?? one);
    await expect(stack.preview(anew)).rejects.toThrow(
      'egress-5: connection.netns: node "egress-5" is still programmed in network namespace "egress-5" of 192.168.0.101',
    );
    await through(scene, POD);
    await change(
      CLIENTS,
      async () => {
        await execOk(lab, POD.node, ["ip", "netns", "del", POD.name]);
        await stack.up(anew);
      },
      { to: [ANEW.address] },
    );
    expect(await shown(stack, anew)).toEqual({});
    await through(scene, ANEW);
    expect(await execOk(lab, POD.node, ["ls", "/var/lib/pulumi-egress/netns"])).toBe("egress-7\n");
    await change(CLIENTS, () => stack.destroy(), { established: "cut" });
  }),
);

scenario(
  "what a gateway pod can't be is refused in preview",
  { senders: [] },
  withPods([POD], async ({ lab, stack }) => {
    const program = programWith(lab, [POD]);
    const refused = (some: readonly Declared[]) => stack.preview(some).catch(({ message }: Error) => message);
    const gone = { ...POD, name: "egress-9" };
    expect(await refused(programWith(lab, [gone]))).toMatch(/192\.168\.0\.101 has no network namespace "egress-9"/);
    const other = programWith(lab, [POD], { egressIPs: ["10.1.0.6"] });
    expect(await refused(other)).toMatch(
      /gateway: egressIPs: 10\.1\.0\.6 is no address of a gateway pod on its uplink: egress-5 has 10\.1\.0\.5 on eth0/,
    );
    const clients = lab.nodes.map(({ name }) => name).filter((name) => name !== POD.node);
    const alone = [
      ...program.slice(0, -2),
      gatewayOf(lab, "gateway", [POD.address], { on: [POD.name], of: clients, placement: "pod" }),
    ];
    expect(await refused(alone)).toMatch(/gateway: gateways\[0\]: pod "egress-5" is run by node "gateway-1"/);
    const route = `ip route replace ${POD.address}`;
    await execOk(lab, "client-1", ["sh", "-c", `${route} dev lo`]);
    expect(await refused(program)).toMatch(
      /gateway: clients\[\d\]: node "client-1" reaches 10\.1\.0\.5 by "lo", but its uplink is "eth0"/,
    );
    const machine = lab.nodes.find(({ name }) => name === POD.node);
    await execOk(lab, "client-1", ["sh", "-c", `${route} via ${machine?.underlayIP}`]);
    const itself = [...program.slice(0, -1), policyOf("policy", "gateway", ["10.1.0.0/28"])];
    expect(await refused(itself)).toMatch(
      /policy: sources\.cidrs\[0\]: "10\.1\.0\.5" of "10\.1\.0\.0\/28" is a pod of gateway "gateway"/,
    );
    const machines = gatewayOf(lab, "machines", ["192.168.0.200"]);
    expect(await refused([...program, machines, policyOf("wide", "machines", ["10.1.0.0/28"])])).toMatch(
      /wide: sources\.cidrs\[0\]: "10\.1\.0\.5" of "10\.1\.0\.0\/28" is pod "egress-5" of gateway "gateway"/,
    );
  }),
);
