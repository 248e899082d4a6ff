import { hasPrograms } from "../compile/bpf";
import { TUNNEL } from "../compile/names";
import type { EgressGatewayArgs, Problem } from "../model/args";
import { quote } from "../model/problem";
import { deviceOfPod } from "./carried-pods";
import { nodesOf, pathOf } from "./gateway-state";
import type { Looked } from "./look";
import { devicesBetweenNodes } from "./loose-devices";
import { podDevices } from "./pod-devices";
import type { Snapshot } from "./snapshot";

/** The oldest kernel with all that the programs use: bpf_redirect_neigh. */
const OLDEST = [5, 10] as const;
const TOOLS: Readonly<Record<string, string>> = {
  tc: "iproute2",
  bpftool: "bpftool",
  base64: "coreutils",
  gzip: "gzip",
};

/** Nodes on which the programs of `datapath: "bpf"` could not be loaded, or would not run. In pods there are none. */
export function programProblems(args: EgressGatewayArgs, looked: ReadonlyMap<string, Looked>): Problem[] {
  if (args.datapath !== "bpf") return [];
  const pods = new Set(args.gateways.flatMap(({ node, connection }) => (connection.netns === undefined ? [] : [node])));
  return [...looked].flatMap(([node, { snapshot }]): Problem[] =>
    (snapshot && !pods.has(node) ? [...reasons(snapshot), ...deviceReasons(args, node, snapshot)] : []).map(
      (reason) => ({
        path: pathOf(args, node),
        message: `node ${node} can't have datapath "bpf": ${reason} Or give datapath "iptables".`,
      }),
    ),
  );
}

function reasons(snapshot: Snapshot): string[] {
  const { kernel, missingTools, filters, taken } = snapshot.host;
  const tools = Object.keys(TOOLS).filter((tool) => missingTools.includes(tool));
  const packages = [...new Set(tools.map((tool) => TOOLS[tool]))];
  const hooks = hooksOf(snapshot);
  const plain = taken.filter(({ by }) => by !== "qdisc").map(({ by, ...hook }) => ({ ...hook, name: `${by} filters` }));
  const others = [...filters, ...plain].filter(({ device, direction }) => hooks.has(`${device} ${direction}`));
  const names = others.map(({ device, direction, name }) => `${name} (${device} ${direction})`);
  return [
    ...(isOlder(kernel) ? [`its kernel is ${kernel}, and the programs need Linux ${OLDEST.join(".")}.`] : []),
    ...(tools.length > 0 ? [`${tools.join(", ")} not found. Install ${packages.join(", ")} there.`] : []),
    ...(missingTools.includes("bpffs") ? ["no BPF file system. Mount one: mount -t bpf bpf /sys/fs/bpf."] : []),
    ...(names.length > 0
      ? [`programs of others take the same packets: ${names.join(", ")}. Their rules would be passed by, or ours.`]
      : []),
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
    const hasQdisc = host.taken.some((hook) => hook.device === device && hook.by === "qdisc");
    return [
      ...(link !== undefined ? [`${name} is link/${link}, and the programs read Ethernet.`] : []),
      ...(hasQdisc
        ? [`${name} has an ingress qdisc, where theirs would be. Remove it: tc qdisc del dev ${device} ingress.`]
        : []),
    ];
  });
}

function isOlder(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map((part) => Number.parseInt(part, 10));
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** Where programs of ours come to stand and never have been: elsewhere one of others is drift. */
function hooksOf({ claims, host, actual, node: file }: Snapshot): ReadonlySet<string> {
  const node = claims.find((claim) => claim.kind === "node");
  const hadPrograms = claims.some((claim) => claim.kind === "gateway" && hasPrograms(claim));
  const uplink = node?.kind === "node" ? [`${node.uplink} ingress`, `${node.uplink} egress`] : [];
  const pods = (devices: readonly string[]): string[] => devices.map((device) => `${device} ingress`);
  const ours = new Set([
    ...actual.flatMap((o) => (o.kind === "tc-filter" ? [`${o.device} ${o.direction}`] : [])),
    ...(hadPrograms ? [...uplink, ...pods(file?.podDevices ?? [])] : []),
  ]);
  return new Set([...uplink, ...pods(podDevices(claims, host))].filter((hook) => !ours.has(hook)));
}
