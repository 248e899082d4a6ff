import { hasPrograms, loadsPrograms } from "../compile/bpf";
import { TUNNEL } from "../compile/names";
import type { EgressGatewayArgs, Problem } from "../model/args";
import type { GatewayClaim } from "../model/claim";
import { expandNodes } from "../model/compact-nodes";
import { quote } from "../model/problem";
import { objectDigests } from "../transport/programs";
import { deviceOfPod } from "./carried-pods";
import { type GatewayState, nodesOf, pathOf } from "./gateway-state";
import { claimOnce, gatewayOf } from "./known-gateway";
import { labelText } from "./label";
import type { Looked } from "./look";
import { devicesBetweenNodes } from "./loose-devices";
import { isOwnStack } from "./owner";
import { isQdisc, podDevices, qdiscOn } from "./pod-devices";
import { claimOf, type PolicyState } from "./policy-state";
import { memory } from "./run-memory";
import type { Snapshot } from "./snapshot";
import { unreadPrograms } from "./unread-programs";

/** The oldest kernel with all that the programs use: bpf_redirect_neigh. */
const OLDEST = [5, 10] as const;
const TOOLS: Readonly<Record<string, string>> = {
  tc: "iproute2",
  bpftool: "bpftool",
  base64: "coreutils",
  gzip: "gzip",
};

const UNFIT: Readonly<Record<string, string>> = {
  bpffs: "no BPF file system. Mount one: mount -t bpf bpf /sys/fs/bpf.",
  "big-endian": "its CPU is big-endian, and the programs are not.",
  ipsec:
    "it has IPsec policies (ip xfrm policy), and what the programs send meets none: it would leave unencrypted. Give these an interface (if_id) or a mark.",
};

const NO_OBJECTS =
  'the package has no programs (bpf/*.bpf.o). Run npm run build in it where clang is installed, or give datapath "iptables".';
const OTHERS = "programs of others take the same packets";
const PASSED_BY = "Their rules would be passed by, or ours.";

/** Nodes on which the programs of `datapath: "bpf"` could not be loaded, or would not run. In pods there are none. */
export function programProblems(args: GatewayState, looked: ReadonlyMap<string, Looked>): Problem[] {
  if (args.datapath !== "bpf") return [];
  if (Object.values(objectDigests()).includes("none")) return [{ path: "datapath", message: NO_OBJECTS }];
  const pods = new Set(args.gateways.flatMap(({ node, connection }) => (connection.netns === undefined ? [] : [node])));
  return [...looked].flatMap(([node, { snapshot }]): Problem[] =>
    (snapshot && !pods.has(node) && unreadPrograms(snapshot.host) === undefined
      ? [...reasons(snapshot, args, node), ...deviceReasons(args, node, snapshot)]
      : []
    ).map((reason) => ({
      path: pathOf(args, node),
      message: `node ${node} can't have datapath "bpf": ${reason} Or give datapath "iptables".`,
    })),
  );
}

const uplinkOf = (args: EgressGatewayArgs, name: string): string | undefined =>
  nodesOf(args).find(({ node }) => node === name)?.uplink;

function reasons(snapshot: Snapshot, args: GatewayState, node: string): string[] {
  const { kernel, missingTools, unfit } = snapshot.host;
  const tools = Object.keys(TOOLS).filter((tool) => missingTools.includes(tool));
  const packages = [...new Set(tools.map((tool) => TOOLS[tool]))];
  const names = othersOn(hooksOf(snapshot, args, node), snapshot);
  return [
    ...(isOlder(kernel) ? [`its kernel is ${kernel}, and the programs need Linux ${OLDEST.join(".")}.`] : []),
    ...(tools.length > 0
      ? [`${tools.join(", ")} not found, or not for this kernel. Install ${packages.join(", ")} there.`]
      : []),
    ...Object.keys(UNFIT).flatMap((name) => (unfit.includes(name) ? (UNFIT[name] ?? []) : [])),
    ...(names.length > 0 ? [`${OTHERS}: ${names.join(", ")}. ${PASSED_BY}`] : []),
  ];
}

/** Devices that are to have programs, whatever else: what these read is Ethernet, and a clsact takes the place of an ingress qdisc. */
function deviceReasons(args: EgressGatewayArgs, node: string, { host, node: file }: Snapshot): string[] {
  const ref = nodesOf(args).find((one) => one.node === node);
  if (!ref) return [];
  const pods = args.gateways.flatMap(({ connection, underlayIP }) =>
    connection.netns === undefined ? [] : [deviceOfPod(underlayIP, ref.uplink, host)],
  );
  const between = devicesBetweenNodes(ref.ignore, host).filter(
    (device) => host.strict?.has(device) || file?.loosened?.[device] !== undefined,
  );
  const around = args.answers === "cluster" ? [...pods, ...between].flatMap((device) => device ?? []) : [];
  return [...new Set([ref.uplink, TUNNEL, ...around])].flatMap((device) => {
    const name = device === ref.uplink ? `its uplink ${quote(device)}` : `its device ${quote(device)}`;
    const link = host.notEthernet.get(device);
    const qdisc = qdiscOn(device, host);
    return [
      ...(link !== undefined ? [`${name} is link/${link}, and the programs read Ethernet.`] : []),
      ...(qdisc
        ? [`${name} has ${qdisc.is}, where theirs would be. Remove it: tc qdisc del dev ${device} ${qdisc.name}.`]
        : []),
    ];
  });
}

function isOlder(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map((part) => Number.parseInt(part, 10));
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** What others have on these hooks. */
function othersOn(hooks: ReadonlySet<string>, { host: { filters, taken } }: Snapshot): string[] {
  const plain = taken.filter(({ by }) => !isQdisc(by)).map(({ by, ...hook }) => ({ ...hook, name: `${by} filters` }));
  return [...filters, ...plain]
    .filter(({ device, direction }) => hooks.has(`${device} ${direction}`))
    .map(({ device, direction, name }) => `${name} (${device} ${direction})`);
}

/** Those of the uplink that gateways take on a node: what it sends by that has programs on gateway nodes, and where answers come by the cluster. */
function hooksOfUplink(uplink: string, gateways: readonly GatewayClaim[], node: string): string[] {
  const sends = (gateway: GatewayClaim): boolean => !hasPrograms(gateway) || gateway.nodes[node]?.gateway === true;
  const loaded = gateways.filter(loadsPrograms);
  return [...(loaded.length > 0 ? [`${uplink} ingress`] : []), ...(loaded.some(sends) ? [`${uplink} egress`] : [])];
}

/**
 * Where programs of ours come to stand and never have been: elsewhere one of others is drift. Where pods have had ours, those that come have
 * them too. Policies of this stack are judged by their own checks.
 */
function hooksOf(
  { claims, host, actual, node: file }: Snapshot,
  args: GatewayState,
  node: string,
): ReadonlySet<string> {
  const gateways = claims.filter((claim) => claim.kind === "gateway");
  const hadPrograms = gateways.some(hasPrograms);
  const uplink = uplinkOf(args, node);
  const uplinks = uplink === undefined ? [] : hooksOfUplink(uplink, [claimOnce(args)], node);
  const others = claims.filter(({ kind, owner }) => kind !== "policy" || !isOwnStack(labelText(owner)));
  const wanted = [...others.filter(({ owner }) => owner.id !== args.ownerId), claimOnce(args)];
  // Where a node has no other gateway node it sends nothing by the tunnel but answers.
  const sends = args.gateways.some((gateway) => gateway.node !== node);
  const tunnels = [`${TUNNEL} ingress`, ...(sends ? [`${TUNNEL} egress`] : [])];
  const pods = hadPrograms && file?.podDevices?.length ? [] : podDevices(wanted, host, uplink);
  const ours = new Set([
    ...actual.flatMap((o) => (o.kind === "tc-filter" ? [`${o.device} ${o.direction}`] : [])),
    ...(uplink === undefined ? [] : hooksOfUplink(uplink, gateways, node)),
    ...(hadPrograms ? tunnels : []),
  ]);
  const own = hasPrograms(claimOnce(args)) ? [...uplinks, ...tunnels] : uplinks;
  return new Set([...own, ...pods.map((device) => `${device} ingress`)].filter((hook) => !ours.has(hook)));
}

/** The same for a policy: devices of the pods that it selects, which get programs with it. */
export function podProgramProblems(state: PolicyState, looked: ReadonlyMap<string, Looked>): Problem[] {
  const gateway = gatewayOf(state.gateway.id, looked);
  if (!gateway || !loadsPrograms(gateway)) return [];
  const wanted = memory.gateways.get(state.gateway.id)?.wanted;
  return expandNodes(state.gateway).flatMap(({ node, connection }): Problem[] => {
    const snapshot = looked.get(node)?.snapshot;
    if (!snapshot || connection.netns !== undefined || snapshot.node?.podDevices?.length) return [];
    const enrolled = snapshot.claims.filter(({ kind }) => kind === "node");
    // A node that is new is not enrolled yet.
    const uplink = wanted && uplinkOf(wanted, node);
    const devices = podDevices([...enrolled, gateway, claimOf(state)], snapshot.host, uplink);
    const names = othersOn(new Set(devices.map((device) => `${device} ingress`)), snapshot);
    if (names.length === 0) return [];
    const message = `${OTHERS}: ${names.join(", ")} on node ${node}. ${PASSED_BY} Give its gateway datapath "iptables".`;
    return [{ path: "sources", message }];
  });
}
