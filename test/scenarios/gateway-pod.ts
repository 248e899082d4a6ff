import { enter, exec, execOk, type Lab } from "../lab";
import { run } from "../lab/run";
import type { Declared } from "../operator/stack";

type Properties = Record<string, unknown>;

/** The network of gateway pods: no node masquerades it, and the router knows the way to each. */
export const POOL = "10.1.0.0/24";

/** A pod of the pool: a network namespace of a node of the lab, as a container runtime names it. */
export interface GatewayPod {
  readonly name: string;
  readonly node: string;
  readonly address: string;
  /** Its device on the node. */
  readonly device: string;
}

export const podIn = (node: string, number: number): GatewayPod => ({
  name: `egress-${number}`,
  node,
  address: `10.1.0.${number}`,
  device: `pod9${number}`,
});

/** Puts pods on their nodes, as a CNI does that routes; `takeAway` leaves nothing of them. */
export async function putPods(lab: Lab, pods: readonly GatewayPod[]): Promise<{ takeAway(): Promise<void> }> {
  for (const pod of pods) {
    await execOk(lab, pod.node, ["sh", "-c", PUT, "put", pod.name, pod.device, pod.address, String(lab.options.mtu)]);
    for (const host of around(lab, pod)) await onRoute(lab, host, "add", pod);
  }
  const takeAway = async (): Promise<void> => {
    for (const pod of pods) {
      // Others first: what still comes for it would go round between its node and the router.
      for (const host of around(lab, pod)) await onRoute(lab, host, "del", pod);
      await exec(lab, pod.node, ["sh", "-c", TAKE_AWAY, "take", pod.name, pod.device]);
    }
  };
  return { takeAway };
}

const PUT = `set -e
ip netns add $1
ip link add $2 mtu $4 address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns $1 mtu $4
ip link set $2 up
echo 1 > /proc/sys/net/ipv4/conf/$2/rp_filter
ip route add $3 dev $2 scope link
ip -n $1 link set lo up
ip -n $1 link set eth0 up
ip -n $1 addr add $3/32 dev eth0
ip -n $1 neigh replace 169.254.1.1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent
ip -n $1 route add 169.254.1.1 dev eth0 scope link
ip -n $1 route add default via 169.254.1.1 dev eth0
nsenter --net=/run/netns/$1 sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'`;

const TAKE_AWAY = `ip link del $2
ip netns del $1 2>/dev/null
umount -n /run/netns && rmdir /run/netns`;

const around = (lab: Lab, { node }: GatewayPod): string[] => [
  "router",
  ...lab.nodes.map(({ name }) => name).filter((name) => name !== node),
];

async function onRoute(lab: Lab, host: string, verb: "add" | "del", { node, address }: GatewayPod): Promise<void> {
  const via = lab.nodes.find(({ name }) => name === node)?.underlayIP ?? "";
  const { code, stderr } = await run([...enter(lab, host), "ip", "route", verb, address, "via", via]);
  if (code !== 0 && verb === "add") throw new Error(`${host}: ${stderr}`);
}

/** Runs a command in a pod, with the files of its node. */
export const inPod = (lab: Lab, { node, name }: GatewayPod, command: string): Promise<string> =>
  execOk(lab, node, ["nsenter", `--net=/run/netns/${name}`, "sh", "-c", command]);

/** The NodeMark of a pod: that of its node, but for what is its own. */
export function markOf(fleet: readonly Declared[], { name, node, address }: GatewayPod): Declared {
  const machine = fleet.find((one) => one.name === node);
  if (!machine) throw new Error(`no node ${node}`);
  return {
    type: "node-mark",
    name,
    inputs: (outputs) => {
      const { connection, ...rest } = machine.inputs(outputs) as { connection: Properties };
      return { ...rest, node: name, connection: { ...connection, netns: name }, underlayIP: address };
    },
  };
}
