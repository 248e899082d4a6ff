import { TUNNEL } from "../compile/names";
import { compileNode } from "../compile/node";
import type { NodeFacts } from "../compile/view";
import { address, cidrOf, type DeviceAddress, egressLabel } from "../kernel/address";
import { bpfEntry } from "../kernel/bpf-entry";
import { bpfMap } from "../kernel/bpf-map";
import { bpfProgram } from "../kernel/bpf-program";
import { ipRule } from "../kernel/ip-rule";
import { ipset, setMember } from "../kernel/ipset";
import { chain, chainRule, hook } from "../kernel/iptables";
import { lines } from "../kernel/kind";
import { link } from "../kernel/link";
import { neighbour } from "../kernel/neighbour";
import { route } from "../kernel/route";
import type { KernelObject } from "../kernel/state";
import { sysctl } from "../kernel/sysctl";
import { tcFilter } from "../kernel/tc-filter";
import type { Claim } from "../model/claim";
import type { Sections } from "../program/frame";

/** The parts of a node that it compares by a digest each. */
const SECTIONS = ["kernel", "ipset", "bpf"] as const;
type Section = (typeof SECTIONS)[number];

const SECTION_OF: Partial<Record<KernelObject["kind"], Section>> = {
  ipset: "ipset",
  "ipset-member": "ipset",
  "bpf-map": "bpf",
  "bpf-entry": "bpf",
  "bpf-program": "bpf",
  "tc-filter": "bpf",
};
const sectionOf = ({ kind }: KernelObject): Section => SECTION_OF[kind] ?? "kernel";

/** Most nodes, most of the time. Addresses without a label of ours are in no digest, so where there may be some, all is compared. */
export function isAsRecorded(
  sections: Sections,
  claims: readonly Claim[],
  recorded: NodeFacts,
  present: NodeFacts,
): boolean {
  const node = claims.find((claim) => claim.kind === "node");
  const hasLabels = node?.kind === "node" && egressLabel(node.uplink) !== "";
  const isSame = SECTIONS.every((name) => sections.has(`same-${name}`));
  const isSameHost =
    recorded.dropPolicies.join() === present.dropPolicies.join() &&
    recorded.podDevices?.join() === present.podDevices?.join() &&
    JSON.stringify([recorded.carried, recorded.loosened]) === JSON.stringify([present.carried, present.loosened]);
  const loosened = lines(sections.get("loosened") ?? "");
  const isLoose = Object.entries(recorded.loosened ?? {}).every(([device, setting]) =>
    loosened.includes(`net/ipv4/conf/${device}/rp_filter = ${setting.slice(2)}`),
  );
  return isSame && isSameHost && isLoose && hasLabels;
}

/** Settings of devices of others are in no digest: at boot these devices come later than what is ours. */
const formerSettings = (text: string, { loosened = {} }: NodeFacts): KernelObject[] =>
  sysctl.parse(text).map((o) => ({ ...o, former: `${loosened[o.name.split("/")[3] ?? ""]?.slice(0, 1)} -` }));

const isOfOthers = (o: KernelObject): boolean => o.kind === "sysctl" && o.former !== undefined;

/** A section that the node left out is as it was after the last apply, which was checked against what the manifest compiles to. */
export function actualObjects(sections: Sections, claims: readonly Claim[], facts: NodeFacts): KernelObject[] {
  const isSame = (name: Section): boolean => sections.has(`same-${name}`);
  const compiled = SECTIONS.some(isSame) ? compileNode(claims, facts).map(({ object }) => object) : [];
  const of = (name: Section, parse: () => KernelObject[]): KernelObject[] =>
    isSame(name) ? compiled.filter((o) => sectionOf(o) === name && !isUnlabelled(o) && !isOfOthers(o)) : parse();
  const text = (name: string): string => sections.get(name) ?? "";
  const withLabels = of("kernel", () => [
    ...link.parse(text("link")),
    ...sysctl.parse(text("sysctl")),
    ...address.parse(text("address")),
    ...neighbour.parse(text("neighbour")),
    ...route.parse(text("route")),
    ...ipRule.parse(text("ip-rule")),
    ...chain.parse(text("iptables")),
    ...chainRule.parse(text("iptables")),
    ...hook.parse(text("iptables")),
  ]);
  return [
    ...withLabels,
    ...formerSettings(text("loosened"), facts),
    ...unlabelled(claims, lines(text("host-addresses")), withLabels),
    ...of("ipset", () => [...ipset.parse(text("ipset")), ...setMember.parse(text("ipset"))]),
    ...of("bpf", () => BPF_KINDS.flatMap((kind) => kind.parse(text("bpf")))),
  ];
}

const BPF_KINDS: readonly { parse(output: string): KernelObject[] }[] = [bpfMap, bpfEntry, bpfProgram, tcFilter];

const isUnlabelled = (o: KernelObject): boolean => o.kind === "address" && o.label === "" && o.device !== TUNNEL;

/** Egress addresses without our label: put back by hand, or on a device whose name leaves no room for a label. */
function unlabelled(
  claims: readonly Claim[],
  there: readonly string[],
  labelled: readonly KernelObject[],
): DeviceAddress[] {
  const node = claims.find((claim) => claim.kind === "node");
  if (node?.kind !== "node" || node.netns !== undefined) return [];
  const known = new Set(labelled.flatMap((o) => (o.kind === "address" ? [`${o.device} ${cidrOf(o)}`] : [])));
  return claims
    .flatMap((claim) => (claim.kind === "gateway" ? Object.entries(claim.placement) : []))
    .flatMap(([ip, holder]) => {
      const found: DeviceAddress = { kind: "address", device: node.uplink, address: ip, label: "" };
      const shown = `${found.device} ${cidrOf(found)}`;
      return holder === node.node && there.includes(shown) && !known.has(shown) ? [found] : [];
    });
}
