import { execOk, type Lab } from "../../test/lab";
import { fleetOf, gatewayOf, policyOf } from "../../test/operator/program";
import type { Declared } from "../../test/operator/stack";

export const pathNames = ["gateway", "masquerade", "noNat", "untouched"] as const;
export type PathName = (typeof pathNames)[number];

/** One way from a pod to the outside, and the source address by which the outside must see it. */
export interface Path {
  readonly name: PathName;
  readonly pod: string;
  readonly outside: string;
  readonly address: string;
  readonly source: string;
}

const EGRESS = "192.168.0.200";
/** This client node is not in the fleet: nothing of ours is there. */
const UNTOUCHED = "client-2";
const SELECTED = "pod-client-1-1";
const UNSELECTED = "pod-client-1-2";

/** One policy selects; the others are there as in a busy cluster, and their sources are no pods here. */
export function programOf(lab: Lab, policies: number): Declared[] {
  const enrolled: Lab = { ...lab, nodes: lab.nodes.filter(({ name }) => name !== UNTOUCHED) };
  const destinations = { cidrs: lab.outside.map(({ address }) => `${address}/32`) };
  const more = Array.from({ length: policies - 1 }, (_, i) =>
    policyOf(`other-${i}`, "gateway", [`10.0.${200 + (i >> 7)}.${(i & 127) << 1}`], { destinations }),
  );
  return [
    ...fleetOf(enrolled),
    gatewayOf(enrolled, "gateway", [EGRESS]),
    policyOf("policy", "gateway", [podNamed(lab, SELECTED)], { destinations }),
    ...more,
  ];
}

/** The unselected pod is not translated on its way to the second outside host, as by a CNI's exception for a network. */
export async function excludeFromMasquerade(lab: Lab): Promise<void> {
  const [, second] = lab.outside;
  const match = ["-s", podNamed(lab, UNSELECTED), "-d", second?.address ?? ""];
  await execOk(lab, "client-1", ["iptables", "-t", "nat", "-I", "CNI-MASQ", ...match, "-j", "RETURN"]);
}

export function pathsOf(lab: Lab): Path[] {
  const [first, second] = lab.outside;
  if (!first || !second) throw new Error("the lab has no outside");
  const underlay = (name: string): string => lab.nodes.find((node) => node.name === name)?.underlayIP ?? "";
  const towards = (name: PathName, pod: string, { name: outside, address }: typeof first, source: string): Path => ({
    name,
    pod,
    outside,
    address,
    source,
  });
  return [
    towards("gateway", SELECTED, first, EGRESS),
    towards("masquerade", UNSELECTED, first, underlay("client-1")),
    towards("noNat", UNSELECTED, second, podNamed(lab, UNSELECTED)),
    towards("untouched", "pod-client-2-1", first, underlay(UNTOUCHED)),
  ];
}

export function pathNamed(paths: readonly Path[], name: PathName): Path {
  const path = paths.find((one) => one.name === name);
  if (!path) throw new Error(`there is no path ${name}`);
  return path;
}

function podNamed(lab: Lab, name: string): string {
  const pod = lab.pods.find((one) => one.name === name);
  if (!pod) throw new Error(`the lab has no ${name}`);
  return pod.address;
}
