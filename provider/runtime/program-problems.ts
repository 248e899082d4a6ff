import { hasPrograms } from "../compile/bpf";
import type { EgressGatewayArgs, Problem } from "../model/args";
import { pathOf } from "./gateway-state";
import type { Looked } from "./look";
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
    (snapshot && !pods.has(node) ? reasons(snapshot) : []).map((reason) => ({
      path: pathOf(args, node),
      message: `node ${node} can't have datapath "bpf": ${reason} Or give datapath "iptables".`,
    })),
  );
}

function reasons(snapshot: Snapshot): string[] {
  const { kernel, missingTools, filters } = snapshot.host;
  const tools = Object.keys(TOOLS).filter((tool) => missingTools.includes(tool));
  const packages = [...new Set(tools.map((tool) => TOOLS[tool]))];
  const hooks = hooksOf(snapshot);
  const others = filters.filter(({ device, direction }) => hooks.has(`${device} ${direction}`));
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
